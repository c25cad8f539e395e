"""Reconstructions of drawn cases, and of capsules with a component moved."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from capsmed.report.examples import picture, show
from capsmed.report.inside_files import Inside
from capsmed.report.inside_maps import middle, name_of
from capsmed.report.run import RunFiles
from capsmed.report.style import FULL, QUIET, figure, svg

ACROSS = 8

#: Pictures (0 to 1) that differ by less, on average, look alike.
NEXT_TO_NOTHING = 0.005
ROWS = {"image": "image", "from_true": "true\nclass", "from_predicted": "predicted\nclass"}


def reconstruction_plot(inside: Inside, run: RunFiles) -> str | None:
    """Image, reconstruction from the true class's capsule, and from the predicted one's."""
    if "from_true" not in inside.cases:
        return None
    count = len(inside.cases["target"])
    across = min(ACROSS, count)
    blocks = -(-count // across)
    side = (FULL - 0.8) / ACROSS
    with figure(0.8 + across * side, blocks * (3 * side + 0.4), 0.02) as drawn:
        grid = drawn.subplots(3 * blocks, across, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for case in range(count):
            block, column = divmod(case, across)
            _column(grid[3 * block : 3 * block + 3, column], inside, run, case)
        for row, text in enumerate(list(ROWS.values()) * blocks):
            grid[row, 0].set_axis_on()
            grid[row, 0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8)
            grid[row, 0].yaxis.label.set_color(QUIET)
        return svg(drawn, "inside_reconstructions")


def _column(places: np.ndarray, inside: Inside, run: RunFiles, case: int) -> None:
    """A right case has one reconstruction: true and predicted class are the same."""
    cases = inside.cases
    right = cases["target"][case] == cases["predicted"][case]
    for axes, key in zip(places, ROWS, strict=True):
        if not (right and key == "from_predicted"):
            show(axes, picture(middle(cases[key][case]), run))
        else:
            show(axes, None)
    places[0].set_title(name_of(inside, case, longest=14), fontsize=8, loc="center")


def perturbation_plot(inside: Inside, run: RunFiles) -> str | None:
    """A panel for each case: a row for each component, moved from -0.25 to 0.25."""
    moved = inside.perturbed.get("perturbed")
    if moved is None:
        return None
    count, dim = moved.shape[:2]
    across = min(2, count)
    down = -(-count // across)
    with figure(FULL * across / 2, down * (_height(moved, FULL / 2 - 0.6) + 0.6), 0.04) as drawn:
        grid = drawn.subplots(down, across, squeeze=False)
        for axes in grid.flat[count:]:
            axes.set_axis_off()
        for case in range(count):
            _panel(grid.flat[case], inside, run, case)
        return svg(drawn, "inside_perturbed")


def _height(moved: np.ndarray, width: float) -> float:
    """Inches of a panel of this width."""
    (dim, steps), (x, y) = moved.shape[1:3], moved.shape[-2:]
    return width * (dim * (y + 1)) / (steps * (x + 1))


def _panel(axes: Axes, inside: Inside, run: RunFiles, case: int) -> None:
    found = inside.perturbed
    tiles = [[picture(tile, run) for tile in row] for row in found["perturbed"][case]]
    pixels = mosaic(tiles)
    show(axes, pixels)
    high, wide = tiles[0][0].shape[:2]
    deltas = found["deltas"]
    ticks = [0, len(deltas) // 2, len(deltas) - 1]
    axes.set_xticks(
        [k * (wide + 1) + wide / 2 - 0.5 for k in ticks],
        [f"{deltas[k]:+.2f}".replace("-", "−") if deltas[k] else "0" for k in ticks],
    )
    axes.set_yticks(
        [k * (high + 1) + high / 2 - 0.5 for k in range(len(tiles))],
        [str(k + 1) for k in range(len(tiles))],
    )
    axes.tick_params(length=0, labelsize=7, labelcolor=QUIET)
    for row, change in enumerate(effect(found["perturbed"][case])):
        place = (pixels.shape[1] + 1, row * (high + 1) + high / 2 - 0.5)
        axes.text(*place, f"{change:.3f}", va="center", fontsize=6, color=QUIET)
    axes.set_title(_title(inside, case), fontsize=8, loc="center")


def _title(inside: Inside, case: int) -> str:
    found, names = inside.perturbed, inside.classes
    true = int(found["target"][case])
    predicted = int(found["predicted"][case]) if "predicted" in found else true
    wrong = "" if predicted == true else f" (predicted {names[predicted]})"
    return f"{names[true]}{wrong}"


def nothing_moves(inside: Inside) -> str:
    """A sentence where no component changes any picture to speak of; '' where one does."""
    moved = inside.perturbed.get("perturbed")
    if moved is None:
        return ""
    most = max(float(effect(one).max()) for one in moved)
    if most >= NEXT_TO_NOTHING:
        return ""
    size = f"at most {most:.4f}" if most >= 0.0001 else "less than 0.0001"
    return f"Moving a component changes next to nothing: {size} of a pixel's range of 1."


def effect(moved: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the first and last picture of each component, [dim].

    Args:
        moved: ``[dim, 11, channels, x, y]``.
    """
    return np.abs(moved[:, -1] - moved[:, 0]).mean(axis=(1, 2, 3))


def mosaic(tiles: list[list[np.ndarray]]) -> np.ndarray:
    """Pictures [rows, columns] as one, with a white line between them."""
    high, wide = tiles[0][0].shape[:2]
    colours = tiles[0][0].shape[2:]
    whole = np.ones((len(tiles) * (high + 1) - 1, len(tiles[0]) * (wide + 1) - 1, *colours))
    for row, line in enumerate(tiles):
        for column, tile in enumerate(line):
            top, left = row * (high + 1), column * (wide + 1)
            whole[top : top + high, left : left + wide] = tile
    return whole
