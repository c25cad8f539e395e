"""Example patches with what the decoder makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from capsmed.report.run import RunFiles
from capsmed.report.style import FULL, QUIET, figure, svg

PLANES = ("axial", "coronal", "sagittal")
INDEX_PLANES = ("x, y", "x, z", "y, z")


@dataclass(frozen=True)
class Example:
    """One stored patch."""

    image: np.ndarray  # [C, *size], index order x, y, (z)
    reconstruction: np.ndarray | None
    case_id: str
    label: int
    probability: np.ndarray  # [classes]

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probability.argmax())


def examples_of(run: RunFiles) -> list[Example]:
    """All stored examples of the folds, each case once."""
    found: dict[str, Example] = {}
    for fold in run.folds:
        stored = fold.examples
        for i in range(len(stored.get("case_id", ()))):
            example = Example(
                stored["image"][i],
                stored["reconstruction"][i] if "reconstruction" in stored else None,
                str(stored["case_id"][i]),
                _class_index(stored["label"][i], run.classes),
                _full(stored["prob"][i], run),
            )
            found.setdefault(example.case_id, example)
    return list(found.values())


def choose(examples: list[Example], count: int) -> list[Example]:
    """The surest right and the surest wrong of each class in turn, at most ``count``.

    >>> choose([], 6)
    []
    """
    groups: list[list[Example]] = []
    for right in (True, False):
        for label in sorted({e.label for e in examples}):
            group = [e for e in examples if e.label == label and (e.predicted == label) == right]
            groups.append(sorted(group, key=lambda e: -e.probability.max()))
    turns = [g[i] for i in range(max(map(len, groups), default=0)) for g in groups if i < len(g)]
    return sorted(turns[:count], key=lambda e: (e.label, e.predicted != e.label))


def example_plot(run: RunFiles) -> str | None:
    """Patches and reconstructions: 3D as the three middle cuts; None where none are stored."""
    examples = examples_of(run)
    if not examples:
        return None
    if examples[0].image.ndim == 4:
        return _volumes(choose(examples, 6), run)
    return _pictures(choose(examples, 12), run)


def _volumes(examples: list[Example], run: RunFiles) -> str:
    decoded = any(e.reconstruction is not None for e in examples)
    columns = 6 if decoded else 3
    planes = PLANES if in_mm(run) else INDEX_PLANES
    with figure(FULL if decoded else FULL * 0.62, 1.24 * len(examples) + 0.3, 0.03) as drawn:
        grid = drawn.subplots(len(examples), columns, squeeze=False)
        for axes, example in zip(grid, examples, strict=True):
            shown = [example.image] + ([example.reconstruction] if decoded else [])
            cuts = [cut for volume in shown for cut in _cuts(volume, run)]
            for place, cut in zip(axes, cuts, strict=True):
                show(place, cut)
            axes[0].set_ylabel(_caption(example, run), rotation=0, ha="right", va="center")
            axes[0].yaxis.label.set_fontsize(8)
        for k, place in enumerate(grid[0]):
            heading = planes[k % 3] if k < 3 else f"reconstruction,\n{planes[k % 3]}"
            place.set_title(heading, fontsize=8, color=QUIET)
        return svg(drawn, "examples")


def _pictures(examples: list[Example], run: RunFiles) -> str:
    decoded = any(e.reconstruction is not None for e in examples)
    across, deep = min(6, len(examples)), 2 if decoded else 1
    down = -(-len(examples) // across)
    with figure(FULL * across / 6, (1.45 * deep + 0.35) * down, 0.03) as drawn:
        grid = drawn.subplots(down * deep, across, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for i, example in enumerate(examples):
            row, column = deep * (i // across), i % across
            show(grid[row, column], picture(example.image, run))
            grid[row, column].set_title(_caption(example, run), fontsize=8)
            if example.reconstruction is not None:
                show(grid[row + 1, column], picture(example.reconstruction, run))
        return svg(drawn, "examples")


def in_mm(run: RunFiles) -> bool:
    """Whether patches lie along RAS+; otherwise their axes are the file's own."""
    return (run.config.get("patch") or {}).get("spacing") is not None


def _cuts(volume: np.ndarray | None, run: RunFiles) -> Sequence[np.ndarray | None]:
    """Middle cuts as radiologists hang them: patient's right on the left, front up or left."""
    if volume is None:
        return [None] * 3
    # Without millimetres nobody knows where the front is: the axes are shown as they are.
    grey = volume[0] if in_mm(run) else volume[0, ::-1, ::-1, ::-1]
    x, y, z = (n // 2 for n in grey.shape)
    return [grey[::-1, ::-1, z].T, grey[::-1, y, ::-1].T, grey[x, ::-1, ::-1].T]


def picture(image: np.ndarray, run: RunFiles) -> np.ndarray:
    """Index order x, y to rows and columns; a patch in mm has y pointing to the front, so up."""
    turned = image[:, ::-1, ::-1] if in_mm(run) else image
    upright = turned.transpose(2, 1, 0)
    return upright if len(image) == 3 else upright[..., 0]


def show(axes: Axes, pixels: np.ndarray | None) -> None:
    """Draw grey or colour pixels [rows, columns(, 3)] from 0 to 1, without frame or ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if pixels is not None:
        axes.imshow(np.clip(pixels, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _caption(example: Example, run: RunFiles) -> str:
    label = run.classes[example.label]
    if len(run.classes) == 2:
        chance = example.probability[run.classes.index(run.positive)]
        return f"{label}\nP({run.positive}) = {chance:.2f}"
    guess, chance = run.classes[example.predicted], example.probability.max()
    return f"{label} → {guess} ({chance:.2f})"


def _class_index(label: object, classes: tuple[str, ...]) -> int:
    return classes.index(str(label)) if str(label) in classes else int(str(label))


def _full(probability: np.ndarray, run: RunFiles) -> np.ndarray:
    values = np.atleast_1d(np.asarray(probability, float))
    if len(values) == len(run.classes):
        return values
    positive = run.classes.index(run.positive)
    return np.where(np.arange(2) == positive, values[0], 1 - values[0])
