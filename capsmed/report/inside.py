"""The report's section on what `capsmed inspect` found, made from the run folder alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from capsmed.report import inside_words
from capsmed.report.examples import in_mm
from capsmed.report.inside_decoded import nothing_moves, perturbation_plot, reconstruction_plot
from capsmed.report.inside_files import Inside
from capsmed.report.inside_health import health_plot
from capsmed.report.inside_maps import coupling_plot, departure, nearly_equal
from capsmed.report.run import RunFiles


def inside_plots(inside: Inside, run: RunFiles) -> dict[str, str | None]:
    """The section's figures by name, as SVG text; None where there is nothing to draw."""
    return {
        "inside_health": health_plot(inside),
        "inside_couplings": coupling_plot(inside, run),
        "inside_reconstructions": reconstruction_plot(inside, run),
        "inside_perturbed": perturbation_plot(inside, run),
    }


def inside_content(inside: Inside, run: RunFiles) -> dict[str, Any]:
    """What the section's template says."""
    health = inside.health
    return {
        "health": health,
        "findings": inside_words.findings(health),
        "tests": inside_words.test_rows(health),
        "passes": inside_words.pass_rows(health),
        "dead": inside_words.dead_rows(health),
        "volume": inside.cases["image"].ndim == 5,
        "map_caption": _map_caption(inside, run) if inside.mapped else "",
        "decoded_caption": _decoded_caption(inside),
        "nothing_moves": nothing_moves(inside),
    }


def _map_caption(inside: Inside, run: RunFiles) -> str:
    usual = "the mean" if np.isnan(inside.cases["equal_share"]) else "an equal share"
    text = (
        "How much the lower capsules of each place go to each class capsule, mean over their types "
        f"weighted by activation; orange: more than {usual}, blue: less, clear: as much. Each "
        "place is drawn where the middle of what it sees lies"
    )
    if inside.cases["image"].ndim == 5:
        text += "; the middle axial cut"
    equal, most = departure(inside)
    text += nearly_equal(equal, most, usual)
    hung = " Patient's right on the left of the picture." if in_mm(run) else ""
    return f"{text}.{hung} {_which(inside)}"


def _decoded_caption(inside: Inside) -> str:
    text = (
        "Reconstructions from the capsule of the true and, in wrong cases, of the predicted class"
    )
    if inside.cases["image"].ndim == 5:
        text += "; the middle axial cut"
    return f"{text}. {_which(inside)}"


def _which(inside: Inside) -> str:
    health = inside.health
    text = (
        f"Test cases of fold {health['fold']}, right ones first, then wrong ones (true → predicted)"
    )
    return (
        f"{text}."
        if health["wrong_in_fold"]
        else f"Test cases of fold {health['fold']}; none is wrong."
    )
