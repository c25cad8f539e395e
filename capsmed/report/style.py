"""How every figure looks, and how it becomes the same SVG text each time."""

from __future__ import annotations

import html
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine

from capsmed import atomic

#: Okabe and Ito's palette: told apart by colour-blind readers, and in grey.
MODEL, SIZE, HEAD = "#0072B2", "#D55E00", "#009E73"
INK, QUIET, FAINT = "#1f2328", "#6b7280", "#d5d9de"
#: For models without a colour of their own, in this order.
PALETTE = (MODEL, SIZE, HEAD, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MORE = ("#7f7f7f", "#8c564b", "#bcbd22")  # when the palette is used up
COLOURS = {
    "size_only": SIZE,
    "ordinary_head": HEAD,
    "radiomics": "#CC79A7",
    "clinical": "#E69F00",
    "combined": "#000000",
    "average_head": "#56B4E9",
    "densenet121": "#882255",  # wine and olive of Tol's muted scheme: Okabe and Ito's are used up
    "resnet18": "#999933",
}


def colour_of(model: str, models: Sequence[str]) -> str:
    """The colour of one of the models of a figure, the network first: no two are alike.

    >>> colour_of("a", ["capsnet", "size_only", "a"]), colour_of("capsnet", ["capsnet", "a"])
    ('#009E73', '#0072B2')
    """
    if model in COLOURS or not models or model == models[0]:
        return COLOURS.get(model, MODEL)
    taken = {MODEL, *(COLOURS[name] for name in models if name in COLOURS)}
    free = [colour for colour in (*PALETTE, *_MORE) if colour not in taken]
    others = [name for name in models[1:] if name not in COLOURS]
    return free[others.index(model) % len(free)]


#: Widths in inches; both come out at the same type size in the report's column.
FULL, HALF = 8.6, 4.2

_FONTS = (
    "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans", "Noto Sans",
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic",
    "Noto Sans Arabic", "Noto Sans Devanagari",
)  # fmt: skip


#: Writes each figure in other formats too, see `printed`.
_press: ContextVar[Callable[[Figure, str], None] | None] = ContextVar("press", default=None)


@contextmanager
def figure(width: float, height: float, pad: float = 0.04) -> Iterator[Figure]:
    """A figure in the house style; no pyplot, so no window system and no global state."""
    with matplotlib.rc_context(_settings()), warnings.catch_warnings():
        # A class name in a script without an installed font is drawn by the reader's browser.
        warnings.filterwarnings("ignore", message=".*missing from font.*")
        layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.02, hspace=0.02)
        yield Figure(figsize=(width, height), layout=layout)


@contextmanager
def printed(folder: Path, formats: Sequence[str], dpi: int = 300) -> Iterator[None]:
    """Whatever `svg` makes inside is also written into ``folder``, in each of ``formats``."""
    token = _press.set(lambda drawn, name: _print(drawn, folder / name, formats, dpi))
    try:
        yield
    finally:
        _press.reset(token)


def _print(drawn: Figure, path: Path, formats: Sequence[str], dpi: int) -> None:
    for kind in formats:
        options: dict[str, Any] = {"format": kind, "dpi": dpi}
        if kind == "pdf":
            options["metadata"] = {"CreationDate": None}
        elif kind == "tiff":
            options["pil_kwargs"] = {"compression": "tiff_lzw"}
        target = path.with_name(f"{path.name}.{kind}")
        atomic.write(target, partial(drawn.savefig, **options))


def svg(drawn: Figure, name: str) -> str:
    """The figure as SVG text: the same bytes for the same figure, text kept as text.

    Args:
        drawn: made inside `figure`.
        name: keeps the ids of figures apart that share one page.
    """
    press = _press.get()
    if press is not None:
        press(drawn, name)
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": f"capsmed {name}"}):
        drawn.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue().decode("utf-8")
    return re.sub(r'id="([a-z0-9_]+_\d+)"', rf'id="{name}-\1"', text)


def ink_on(ground: Sequence[float] | np.ndarray, strong: bool = True) -> str:
    """The colour of text on ``ground`` (red, green, blue; 0 to 1): the one that stands out more.

    Args:
        ground: the colour below.
        strong: False for text that may be quiet where ``ground`` is light.
    """
    levels = np.array(ground, dtype=float)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])  # WCAG 2.1
    if luminance < 0.25:  # equal contrast is at 0.19; on mid-blue white is the easier to read
        return "white"
    return INK if strong or luminance < 0.9 else QUIET


def size_of(svg: str) -> tuple[float, float]:
    """Width and height of an SVG that `svg` made, in points."""
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]
    return float(width), float(height)


def footed(svg: str, footnote: str) -> str:
    """The SVG with lines of small print below, for a figure that leaves its page."""
    width, height = size_of(svg)
    lines = textwrap.wrap(footnote, int(width / 3.6))
    taller = height + 9 * len(lines) + 4
    svg = svg.replace(f'height="{height:g}pt"', f'height="{taller:g}pt"', 1)
    svg = re.sub(r'viewBox="0 0 ([\d.]+) [\d.]+"', rf'viewBox="0 0 \1 {taller:g}"', svg, count=1)
    text = "".join(
        f'<text x="6" y="{height + 8 + 9 * i:g}" font-size="7" fill="{QUIET}" '
        f'font-family="Helvetica, Arial, sans-serif">{html.escape(line)}</text>\n'
        for i, line in enumerate(lines)
    )
    return svg.replace("</svg>", f"{text}</svg>")


def plain(axes: Axes, *, grid: Literal["x", "y"] | None = None) -> None:
    """Leave only what carries data: no upper and right frame, at most a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, width=0.6)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.5)
        axes.set_axisbelow(True)


def _settings() -> dict[Any, Any]:
    present = set(fontManager.get_font_names())
    return {
        "font.family": [name for name in _FONTS if name in present] or ["sans-serif"],
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.labelcolor": INK,
        "axes.edgecolor": QUIET,
        "axes.linewidth": 0.6,
        "text.color": INK,
        "text.parse_math": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "svg.fonttype": "none",
        "savefig.dpi": 144,
    }
