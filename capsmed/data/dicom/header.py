"""What one DICOM file says about its image, read without its pixels."""

from __future__ import annotations

from dataclasses import dataclass

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
NATIVE = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG}
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = (f"{CT}.1", f"{CT}.2")  # enhanced; legacy converted
WHOLE_NUMBERS = 0x7FE00010
PIXELS = frozenset({0x7FE00008, 0x7FE00009, WHOLE_NUMBERS})
UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixels lie.

    Attributes:
        tag: (7FE0,0010), or one of the two float pixel elements.
        offset: of the first byte of the value.
        length: bytes of the value; ``UNDEFINED`` for encapsulated (compressed) pixels.
    """

    tag: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Header:
    """One file's image: identity, geometry, rescale and how its pixels are stored.

    Positions and directions are DICOM's own: LPS, mm. ``None`` and '' stand for tags that are
    absent, empty or no numbers.

    Attributes:
        path: the file.
        size: its bytes when it was read.
        modified: its time of change then, ns.
        syntax: transfer syntax UID.
        start: offset of the data set; of a deflated one, all other offsets count from there, in
            the inflated bytes.
        pixels: where its pixel data lie.
        frame_table: offsets and lengths of compressed frames, as ExtendedOffsetTable and its
            Lengths hold them.
        texts: descriptions by name, see ``parsing.TEXTS``.
    """

    path: str
    size: int
    modified: int
    syntax: str
    start: int
    pixels: PixelElement
    frame_table: tuple[bytes, bytes] | None
    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    modality: str
    frame_of_reference: str
    image_type: tuple[str, ...]
    instance_number: int | None
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: int | None
    overlay: bool
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    modality_lut: bool
    lossy: bool
    texts: tuple[tuple[str, str], ...]

    @property
    def little(self) -> bool:
        """Whether numbers are stored with their lowest byte first."""
        return self.syntax != EXPLICIT_BIG

    @property
    def native(self) -> bool:
        """Whether pixels are stored as they are, or deflated with the rest of the file."""
        return self.syntax in NATIVE

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame, as declared."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated // 8

    @property
    def multi_frame(self) -> bool:
        """Whether the frames, even one alone, are described by functional groups."""
        return self.frames > 1 or self.sop_class in ENHANCED_CT
