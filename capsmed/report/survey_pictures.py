"""The cuts of a case as one SVG: pixels as PNG, outlines as lines that stay sharp."""

from __future__ import annotations

import base64
import io
import tempfile
import threading
from types import TracebackType
from typing import Self

import contourpy
import numpy as np
from PIL import Image

from capsmed.data.survey import Cuts
from capsmed.data.survey.cuts import Cut

GAP = 4
#: Letters at the edges of each cut: left and top.
SIDES = {"axial": ("R", "A"), "coronal": ("R", "S"), "sagittal": ("A", "S")}
#: Lengths of the scale bar, mm.
BARS = (1, 2, 5, 10, 20, 50, 100)


def drawing(cuts: Cuts) -> str:
    """The cuts side by side, with crop box, mask outline, cross hair and scale bar."""
    heights = [plane.pixels.shape[0] for plane in cuts.planes]
    widths = [plane.pixels.shape[1] for plane in cuts.planes]
    width, height = sum(widths) + GAP * (len(widths) - 1), max(heights)
    parts, left = [], 0
    for plane in cuts.planes:
        parts.append(f'<svg x="{left}" width="{plane.pixels.shape[1]}" height="{height}">')
        parts.append(_image(plane))
        parts += [_outline(plane), _box(plane), _cross(plane), _letters(plane), "</svg>"]
        left += plane.pixels.shape[1] + GAP
    parts.append(_bar(cuts, widths[0], heights[0]))
    names = ", ".join(plane.name for plane in cuts.planes if plane.name) or "picture"
    return (
        f'<svg class="cuts" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="cuts through the point: {names}">{"".join(parts)}</svg>'
    )


class Album:
    """Drawings kept in one file on disk until the page is written, however many there are."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        self._places: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, position: int, cuts: Cuts) -> None:
        """Draw and keep the cuts of a case; may be called from threads."""
        text = drawing(cuts).encode()
        with self._lock:
            start = self._file.seek(0, io.SEEK_END)
            self._file.write(text)
            self._places[position] = (start, len(text))

    def get(self, position: int) -> str:
        """The drawing of a case; '' where there is none."""
        if position not in self._places:
            return ""
        start, length = self._places[position]
        with self._lock:
            self._file.seek(start)
            return self._file.read(length).decode()


def _image(plane: Cut) -> str:
    buffer = io.BytesIO()
    Image.fromarray(plane.pixels).save(buffer, format="PNG", optimize=True)
    rows, columns = plane.pixels.shape[:2]
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<image width="{columns}" height="{rows}" href="data:image/png;base64,{data}"/>'


def _outline(plane: Cut) -> str:
    if plane.inside is None or not plane.inside.any():
        return ""
    padded = np.pad(plane.inside.astype(float), 1)
    lines = [np.asarray(line) for line in contourpy.contour_generator(z=padded).lines(0.5)]
    steps = ["M" + "L".join(f"{x - 0.5:g} {y - 0.5:g}" for x, y in line) for line in lines]
    return f'<path class="mask" d="{"".join(steps)}"/>'


def _box(plane: Cut) -> str:
    left, top, width, height = plane.box
    return (
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"/>'
    )


def _cross(plane: Cut) -> str:
    """Four lines that leave the lesion itself free."""
    x, y = plane.point
    rows, columns = plane.pixels.shape[:2]
    near, far = 0.08 * columns, 0.16 * columns
    steps = (
        f"M{x - far:.1f} {y:.1f}h{far - near:.1f}M{x + near:.1f} {y:.1f}h{far - near:.1f}"
        f"M{x:.1f} {y - far:.1f}v{far - near:.1f}M{x:.1f} {y + near:.1f}v{far - near:.1f}"
    )
    return _lined("cross", steps)


def _lined(kind: str, steps: str) -> str:
    """A path that is seen on black and on white."""
    return f'<path class="{kind} under" d="{steps}"/><path class="{kind}" d="{steps}"/>'


def _letters(plane: Cut) -> str:
    if plane.name not in SIDES:
        return ""
    rows, columns = plane.pixels.shape[:2]
    side, top = SIDES[plane.name]
    return (
        f'<text x="3" y="{rows / 2 + 3:g}">{side}</text>'
        f'<text x="{columns / 2:g}" y="9" text-anchor="middle">{top}</text>'
        f'<text x="3" y="9" class="plane">{plane.name}</text>'
    )


def _bar(cuts: Cuts, width: int, height: int) -> str:
    if not cuts.has_mm:
        return ""
    fitting = [length for length in BARS if length / cuts.step <= width / 3]
    length = fitting[-1] if fitting else BARS[0]
    across = length / cuts.step
    return (
        _lined("bar", f"M5 {height - 6}h{across:.1f}")
        + f'<text x="5" y="{height - 10}">{length} mm</text>'
    )
