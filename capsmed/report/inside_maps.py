"""Coupling maps over the image."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from capsmed.report.examples import picture, show
from capsmed.report.inside_files import Inside
from capsmed.report.run import RunFiles
from capsmed.report.style import FULL, MODEL, QUIET, SIZE, figure, svg
from capsmed.report.words import number

#: More class columns than this do not fit: only the true and the predicted class are drawn.
MOST_COLUMNS = 10

#: Opacity of the strongest colour, and the grey that black becomes below it, to be tinted visibly.
COVER, LIFT = 0.8, 0.25

#: The strongest colour is this share away from equal couplings, at least: less is drawn faint.
LEAST_RANGE = 0.2


def coupling_plot(inside: Inside, run: RunFiles) -> str | None:
    """Each drawn case with the map of each class; None where there are no locations."""
    if not inside.mapped:
        return None
    columns = _columns(inside)
    across = max(1, 8 // (1 + columns.shape[1]))
    down = -(-len(columns) // across)
    wide = across * (1 + columns.shape[1])
    side = min((FULL - 1.2 - 0.5 * across) / wide, 1.3)
    with figure(FULL, down * (side + 0.04) + 0.5, 0.02) as drawn:
        grid = drawn.subplots(down, wide, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for case in range(len(columns)):
            row, block = divmod(case, across)
            start = block * (1 + columns.shape[1])
            places = grid[row, start : start + 1 + columns.shape[1]]
            _case(places, inside, run, case, columns[case])
            if row == 0:
                _headings(places, inside)
        _bar(drawn, grid, inside)
        return svg(drawn, "inside_couplings")


def _columns(inside: Inside) -> np.ndarray:
    """Classes to draw for each case, [cases, columns]."""
    classes, cases = len(inside.classes), inside.cases
    if classes <= MOST_COLUMNS:
        return np.tile(np.arange(classes), (len(cases["target"]), 1))
    return np.stack([cases["target"], cases["predicted"]], axis=1)


def _case(
    places: np.ndarray, inside: Inside, run: RunFiles, case: int, columns: np.ndarray
) -> None:
    cut = middle(inside.cases["image"][case])
    shown = picture(cut, run)
    show(places[0], shown)
    _label(places[0], name_of(inside, case))
    equal, most = scale(inside)
    for axes, k in zip(places[1:], columns, strict=True):
        show(axes, LIFT + (1 - LIFT) * shown)
        values = picture(spread(inside, case, int(k))[None], run)
        axes.imshow(tinted(values, equal, most), interpolation="nearest")


def spread(inside: Inside, case: int, k: int) -> np.ndarray:
    """The map of class ``k`` at each pixel of the drawn cut, [x, y]; NaN where no location is.

    Between the centres of two locations it is linear; beyond the outermost it goes on for half the
    distance of two.
    """
    cases = inside.cases
    values, sizes = cases["couplings"][case, k], cases["image"].shape[2:]
    for axis in reversed(range(len(sizes))):
        at = np.arange(sizes[axis], dtype=float)
        if axis == 2:
            at = at[len(at) // 2 :][:1]
        values = _along(values, axis, at, float(cases["first"][axis]), float(cases["step"][axis]))
    return values[..., 0] if len(sizes) == 3 else values


def _along(values: np.ndarray, axis: int, at: np.ndarray, first: float, step: float) -> np.ndarray:
    number = (at - first) / step
    count = values.shape[axis]
    low = np.clip(np.floor(number), 0, max(count - 2, 0)).astype(int)
    part = np.clip(number - low, 0, 1 if count > 1 else 0)
    part = part.reshape([-1 if other == axis else 1 for other in range(values.ndim)])
    high = np.minimum(low + 1, count - 1)
    mixed = (1 - part) * np.take(values, low, axis) + part * np.take(values, high, axis)
    outside = (number < -0.5) | (number > count - 0.5)
    mixed[(slice(None),) * axis + (outside,)] = np.nan
    return mixed


def scale(inside: Inside) -> tuple[float, float]:
    """The coupling that is drawn clear (all alike), and the distance from it of full colour.

    That is the largest distance, or `LEAST_RANGE` of the equal coupling where that is more.
    """
    equal, most = departure(inside)
    return equal, max(most, LEAST_RANGE * abs(equal))


def departure(inside: Inside) -> tuple[float, float]:
    """The coupling of all alike, and the largest distance of any map from it."""
    maps = inside.cases["couplings"]
    equal = float(inside.cases["equal_share"])
    equal = float(maps.mean()) if np.isnan(equal) else equal
    return equal, float(np.abs(maps - equal).max())


def nearly_equal(equal: float, most: float, usual: str) -> str:
    """What a caption adds where couplings are nearly alike; '' where they are not.

    Args:
        equal: the coupling of all alike.
        most: the largest distance from it.
        usual: what it is, such as 'an equal share'.
    """
    if most < 1e-6:
        return ". This routing couples all alike, so nothing is coloured"
    if most < LEAST_RANGE * abs(equal):
        return (
            f". The couplings are all but equal: none is more than {100 * most / abs(equal):.2g}% "
            f"off {usual}, and the full colour stands for {100 * LEAST_RANGE:.0f}%"
        )
    return ""


def tinted(values: np.ndarray, equal: float, most: float) -> np.ndarray:
    """Colours [..., RGBA] to lay over the image: orange above, blue below, clear where equal."""
    distance = np.nan_to_num(values - equal) / max(most, 1e-6)
    colours = np.where(distance[..., None] > 0, to_rgb(SIZE), to_rgb(MODEL))
    return np.concatenate([colours, COVER * np.abs(distance)[..., None].clip(0, 1)], axis=-1)


def middle(image: np.ndarray) -> np.ndarray:
    """The middle axial cut [C, x, y] of a volume [C, x, y, z]; a picture as it is."""
    return image[..., image.shape[-1] // 2] if image.ndim == 4 else image


def name_of(inside: Inside, case: int, longest: int = 20) -> str:
    """'benign', or 'benign → malignant' where the network is wrong.

    More than ``longest`` characters are broken before the arrow.
    """
    true, predicted = (int(inside.cases[key][case]) for key in ("target", "predicted"))
    names = inside.classes
    if true == predicted:
        return names[true]
    line = f"{names[true]} → {names[predicted]}"
    return line if len(line) <= longest else f"{names[true]}\n→ {names[predicted]}"


def _label(axes: Axes, text: str) -> None:
    axes.set_axis_on()
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8)


def _headings(places: np.ndarray, inside: Inside) -> None:
    many = len(inside.classes) > MOST_COLUMNS
    names = ["true class", "predicted"] if many else inside.classes
    for axes, name in zip(places, ["image", *names], strict=True):
        axes.set_title(name, fontsize=8, color=QUIET, loc="center")


def _bar(drawn: Figure, grid: np.ndarray, inside: Inside) -> None:
    equal, most = scale(inside)
    most = max(most, 1e-6)
    tints = [(*to_rgb(colour), 1.0) for colour in (MODEL, "white", SIZE)]
    bar = drawn.colorbar(
        ScalarMappable(
            Normalize(equal - most, equal + most), LinearSegmentedColormap.from_list("", tints)
        ),
        ax=grid,
        aspect=30,
        shrink=min(1.0, 2.6 / drawn.get_figheight()),
        pad=0.01,
    )
    maps = inside.cases["couplings"]
    faint = departure(inside)[1] < most
    ends = [float(maps.min()), equal, float(maps.max())]
    ends = [equal - most, equal, equal + most] if faint else ends
    ticks = [value for value in ends if value == equal or abs(value - equal) > 0.15 * most]
    bar.ax.set_ylim(min(ends[0], equal - 0.05 * most), max(ends[2], equal + 0.05 * most))
    digits = 2 if most > 0.05 else 3 if most > 0.005 else 4
    bar.set_ticks(ticks, labels=[number(value, digits) for value in ticks])
    bar.outline.set_visible(False)
    bar.ax.set_title("coupling", fontsize=8, color=QUIET)
