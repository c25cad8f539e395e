"""Coupling maps of single cases, laid out as the pictures that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmed.report.inside_maps import COVER, LEAST_RANGE, nearly_equal, tinted
from capsmed.report.words import number

#: What is said where a routing cannot do otherwise.
UNIFORM = (
    "Couplings are uniform by design: this routing makes one pass, which shares every lower "
    "capsule alike among the classes, so there is no map to show."
)
_PLANES = {"xy": "xy", "xz": "xz", "yz": "yz", "image": "xy"}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scale:
    """What the colours mean, one for all cases of a page.

    Attributes:
        equal: the coupling of all alike, or the mean where couplings are no shares of one.
        furthest: the largest distance from it of any map.
        shares: whether couplings are shares of one.
    """

    equal: float
    furthest: float
    shares: bool

    @property
    def most(self) -> float:
        """The distance of full colour."""
        return max(self.furthest, LEAST_RANGE * abs(self.equal), 1e-6)

    @property
    def usual(self) -> str:
        """What `equal` is, in words."""
        return "an equal share" if self.shares else "the mean"

    @classmethod
    def of(cls, folds: Iterable[Arrays]) -> Scale | None:
        """The scale of all maps of ``folds``, the content of each one's cuts.npz; None for none."""
        rows = [row for row in map(_extremes, folds) if row is not None]
        if not rows:
            return None
        equals, lows, highs, means = np.array(rows).T
        shares = bool(np.isfinite(equals).all())
        equal = float(equals[0] if shares else means.mean())
        return cls(equal, float(max(highs.max() - equal, equal - lows.min())), shares)


def maps_of(
    found: Arrays, i: int, scale: Scale | None, upright: Callable[[np.ndarray], np.ndarray]
) -> list[tuple[int, list[np.ndarray]]]:
    """Of one case the predicted class with its map and, where it is another, the true one.

    Args:
        found: content of the fold's cuts.npz.
        i: number of the case in it.
        scale: of the page's colours; None for no maps.
        upright: turns a plane of values in index order as its picture is turned.

    Returns:
        Class index, and planes of colours uint8 [rows, columns, 3], nearest neighbours of the
        network's locations; black where there are none.
    """
    if scale is None or "coupling_class" not in found:
        return []
    classes = found["coupling_class"][i].tolist()
    planes = [name for name in _PLANES if f"coupling_{name}" in found]
    return [
        (k, [_painted(upright(_spread(found, name, i, which)), scale) for name in planes])
        for which, k in enumerate(classes[: len(set(classes))])
    ]


def legend(scale: Scale) -> dict[str, Any]:
    """The ends and the middle of the colour bar, and what the maps show."""
    digits = 2 if scale.most > 0.05 else 3 if scale.most > 0.005 else 4
    low = max(scale.equal - scale.most, 0) if scale.shares else scale.equal - scale.most
    high = min(scale.equal + scale.most, 1) if scale.shares else scale.equal + scale.most
    faint = nearly_equal(scale.equal, scale.furthest, scale.usual)
    return {
        "low": number(low, digits),
        "equal": number(scale.equal, digits),
        "high": number(high, digits),
        "middle": round(100 * (scale.equal - low) / (high - low)),
        "from": _hex(low, scale),
        "to": _hex(high, scale),
        "caption": (
            "How much the lower capsules of each place go to the class, mean over their types "
            f"weighted by activation. Orange: more than {scale.usual}, blue: less, white: as "
            "much; the same scale for all cases. A cell is a place of the capsules' grid, drawn "
            "where the middle of what it sees lies; black: beyond the grid. Couplings say where "
            f"the routing sends its votes, not why the network decides{faint}."
        ),
    }


def _extremes(found: Arrays) -> tuple[float, float, float, float] | None:
    values = [found[f"coupling_{name}"] for name in _PLANES if f"coupling_{name}" in found]
    if not values:
        return None
    every = np.concatenate([value.ravel() for value in values]).astype(float)
    return float(found["coupling_equal"]), every.min(), every.max(), every.mean()


def _spread(found: Arrays, name: str, i: int, which: int) -> np.ndarray:
    """The values of a plane at each pixel of its picture, in index order; NaN beyond the grid."""
    first, second = (found[f"coupling_at_{axis}"] for axis in _PLANES[name])
    values = found[f"coupling_{name}"][i, which].astype(float)[np.ix_(first, second)]
    values[first < 0] = np.nan
    values[:, second < 0] = np.nan
    return values


def _painted(values: np.ndarray, scale: Scale) -> np.ndarray:
    tint = tinted(values, scale.equal, scale.most)
    strength = tint[..., 3:] / COVER
    colours = 1 - strength * (1 - tint[..., :3])
    colours[np.isnan(values)] = 0
    return np.round(255 * colours).astype(np.uint8)


def _hex(value: float, scale: Scale) -> str:
    return "#" + bytes(_painted(np.array([value]), scale)[0]).hex()
