"""The XML files of LIDC-IDRI: one a scan, up to four reading sessions in each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from capsmed.data.lidc.outlines import RATINGS
from capsmed.data.lidc.readings import Reading, contour
from capsmed.errors import DataError

_TAGS = {name: name for name in RATINGS} | {"internal_structure": "internalStructure"}
_ROOT = "LidcReadMessage"  # those of the chest radiographs are called IdriReadMessage


class XmlFiles:
    """Readings out of XML files; of two files on one series the first by name counts.

    Args:
        paths: files that may be LIDC's; radiographs' and foreign ones are passed over.
        name: where they lie, for messages.
    """

    def __init__(self, paths: Iterable[Path], name: str) -> None:
        self.name, self.damaged = name, 0
        self._files: dict[str, Path] = {}
        for path in sorted(paths):
            try:
                series_uid = _series_uid(path)
            except (ElementTree.ParseError, OSError):
                self.damaged += 1
                continue
            if series_uid:
                self._files.setdefault(series_uid, path)
        self.patients: Mapping[str, str] = dict.fromkeys(self._files, "")

    def readings(self, series_uid: str) -> tuple[list[Reading], Counter[str]]:
        """See `readings.Annotations`.

        Raises:
            DataError: the file is cut off or holds something else than numbers.
        """
        path = self._files[series_uid]
        passed: Counter[str] = Counter()
        try:
            sessions = ElementTree.parse(path).getroot().findall("{*}readingSession")
            found = [
                _reading(nodule, number)
                for number, session in enumerate(sessions)
                for nodule in session.findall("{*}unblindedReadNodule")
            ]
        except (ElementTree.ParseError, OSError, ValueError) as error:
            raise DataError(
                f"{path}: expected LIDC-IDRI's XML, got a damaged file ({error}); fetch it again"
            ) from error
        passed["reader's mark of a nodule under 3 mm"] = found.count("mark")
        passed["reading without all of its ratings"] = found.count("unrated")
        passed["reader's mark of what is no nodule"] = sum(
            len(session.findall("{*}nonNodule")) for session in sessions
        )
        return [reading for reading in found if isinstance(reading, Reading)], +passed


def files_below(folder: Path) -> Iterator[Path]:
    """Every file of a tree that ends in .xml; links to folders are not followed."""
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names if name.lower().endswith(".xml"))


def _series_uid(path: Path) -> str:
    """The series a file annotates; '' when it is none of LIDC's CT readings."""
    inside = False
    with open(path, "rb") as file:
        for event, element in ElementTree.iterparse(file, ("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if event == "end" and tag == "SeriesInstanceUid":
                return (element.text or "").strip()
            if not inside and tag != _ROOT:
                return ""
            inside = True
    return ""


def _reading(nodule: Element, session: int) -> Reading | Literal["mark", "unrated"]:
    """The reading; 'mark' for a nodule under 3 mm, which has one point and no ratings."""
    texts = {name: nodule.findtext(f"{{*}}characteristics/{{*}}{_TAGS[name]}") for name in RATINGS}
    malignancy = nodule.findtext("{*}characteristics/{*}malignancy")
    regions = [r for r in nodule.findall("{*}roi") if r.find("{*}edgeMap") is not None]
    if not regions or not (malignancy or any(texts.values())):
        return "mark"
    if not malignancy or not all(texts.values()):
        return "unrated"
    ratings = {name: int(text or 0) for name, text in texts.items()}
    drawn = [
        (contour(_points(region), *_place(region)), _text(region, "imageSOP_UID"))
        for region in regions
    ]
    contours, slices = zip(*drawn, strict=True)
    return Reading(ratings, int(malignancy), contours, slices, session)


def _place(region: Element) -> tuple[float, bool]:
    return float(_text(region, "imageZposition")), _text(region, "inclusion").upper() != "FALSE"


def _points(region: Element) -> list[tuple[int, int]]:
    return [
        (int(_text(edge, "xCoord")), int(_text(edge, "yCoord")))
        for edge in region.findall("{*}edgeMap")
    ]


def _text(element: Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()
