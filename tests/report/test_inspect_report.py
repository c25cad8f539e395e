"""The report's section on what `capsmed inspect` found."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from capsmed.errors import CheckpointError
from capsmed.report import write_report
from capsmed.report.html import render
from capsmed.report.inside import inside_plots
from capsmed.report.inside_decoded import effect, mosaic, nothing_moves
from capsmed.report.inside_files import Inside, read_inside
from capsmed.report.inside_health import limits
from capsmed.report.inside_maps import COVER, name_of, scale, spread, tinted
from capsmed.report.inside_words import findings, pass_rows
from capsmed.report.inside_words import test_rows as rows_of_tests
from capsmed.report.run import read_run
from tests.report.test_report import Text

NAMES = {"inside_health", "inside_couplings", "inside_reconstructions", "inside_perturbed"}


def health(**changes):
    """The content of health.json for two classes, two folds and a routing of two passes."""
    return {
        "schema_version": 1,
        "network": "capsnet",
        "classes": ["benign", "malignant"],
        "routing": "DynamicRouting",
        "grid": [2, 2],
        "seed": 0,
        "fold": 0,
        "cases": 40,
        "tested": 54,
        "dead_below": 0.1,
        "networks": [
            {"fold": k, "cases": 20, "types": 4, "dead_types": [], "dead_classes": []}
            for k in (0, 1)
        ],
        "passes": [
            {"pass": 1, "entropy": 1.0, "agreement": 1.0, "gained": None},
            {"pass": 2, "entropy": 0.75, "agreement": 1.5, "gained": 0.5},
        ],
        "activity": [[0.8, 0.3], [None, None]],
        "tests": [
            {"routing": "off", "trained": False, "applies": True}
            | {"accuracy": 0.7, "auc": 0.8, "changed": 9},
            {"routing": "uniform", "trained": False, "applies": True}
            | {"accuracy": 0.8, "auc": 0.9, "changed": 3},
            {"routing": "3 passes", "trained": True, "applies": True}
            | {"accuracy": 0.9, "auc": None, "changed": 0},
            {"routing": "1 pass", "trained": False, "applies": False},
        ],
        "shown": ["case-000", "case-001", "case-002"],
        "wrong_in_fold": 1,
        "decoder": True,
    } | changes


def add(run, size, decoder=True, flat=False, grid=True, **changes):
    """Write RUN/inspect with three cases of random pictures."""
    rng = np.random.default_rng(0)
    (run / "inspect").mkdir()
    images = rng.random((3, 1, *size), dtype=np.float32)
    arrays = {"image": images, "target": [0, 1, 1], "predicted": [0, 1, 0]}
    if grid:
        maps = np.full((3, 2, *(2 for _ in size)), 0.5) + (0 if flat else 0.1)
        arrays |= {"couplings": maps, "equal_share": 0.5}
        arrays |= {"first": [2.0 for _ in size], "step": [4.0 for _ in size]}
    if decoder:
        arrays |= {"from_true": images, "from_predicted": 1 - images}
        moved = rng.random((2, 4, 11, 1, *size[:2]))
        steps = np.linspace(-0.25, 0.25, 11)
        path = run / "inspect" / "perturbed.npz"
        np.savez(path, perturbed=moved, target=[0, 1], deltas=steps)
    np.savez(run / "inspect" / "cases.npz", **arrays)
    content = json.dumps(health(decoder=decoder, **changes))
    (run / "inspect" / "health.json").write_text(content, encoding="utf-8")
    return run


def figures(run):
    found = read_run(run)
    plots = inside_plots(read_inside(found), found)
    return {name: text for name, text in plots.items() if text is not None}


def page(run):
    return Text(render(read_run(run), figures(run)))


def test_the_report_of_an_inspected_run_has_the_section_and_its_figures(make_run):
    run = add(make_run(size=(8, 8, 8)), (8, 8, 8))
    read = Text(write_report(run).read_text(encoding="utf-8"))
    assert read.open == [] and read.text.count("Inside the capsules") == 1
    for name in NAMES:
        ElementTree.parse(run / "plots" / f"{name}.svg")


@pytest.mark.parametrize("size", [(8, 8), (8, 8, 8)])
def test_pictures_and_volumes_have_every_figure(make_run, size):
    run = add(make_run(size=size), size)
    assert set(figures(run)) == NAMES
    assert ("the middle axial cut" in page(run).text) == (len(size) == 3)


def test_a_run_that_was_not_inspected_has_no_such_section(make_run):
    run = make_run(size=(8, 8))
    assert "Inside the capsules" not in render(read_run(run), {})


def test_numbers_stand_in_the_tables(make_run):
    text = page(add(make_run(size=(8, 8)), (8, 8))).text
    assert "off 0.700 0.800 9" in text and "3 passes (as trained) 0.900 – 0" in text
    assert "1 pass does not apply" in text
    assert "2 0.7500 1.500 0.500" in text


def test_what_is_missing_is_said_in_a_sentence(make_run):
    run = add(make_run(size=(8, 8)), (8, 8), decoder=False, grid=False)
    text = page(run).text
    assert "the network has no decoder" in text
    assert "No coupling maps: the capsules below the class capsules have no locations" in text
    assert set(figures(run)) == {"inside_health"}


def test_equal_couplings_and_no_wrong_case_are_said(make_run):
    run = add(make_run(size=(8, 8)), (8, 8), flat=True, wrong_in_fold=0)
    text = page(run).text
    assert "This routing couples all alike, so nothing is coloured" in text
    assert "Test cases of fold 0; none is wrong." in text


def test_dead_capsules_are_named_with_their_fold(make_run):
    networks = health()["networks"]
    networks[1] |= {"dead_types": [2, 3], "dead_classes": ["malignant"]}
    run = add(make_run(size=(8, 8)), (8, 8), networks=networks)
    sentence = "2 of 4 lower types in fold 1; the class capsules 'malignant' in fold 1."
    text = page(run).text
    assert f"Dead capsules, below 0.1 on every case: {sentence}" in text
    assert "1 20 2 of 4 (2, 3) 1 of 2 (malignant)" in text


def test_the_findings_are_the_same_in_words_and_numbers():
    said = " ".join(findings(health()))
    assert "Measured on 40 of 54 test cases, each by the network of its fold (2 networks)" in said
    assert "Entropy of the couplings: 0.750 of 1" in said
    assert "Agreement grows from 1.000 to 1.500 over 2 passes." in said
    assert "Accuracy 0.900 with the routing as trained, 0.800 with uniform couplings: 3 of" in said


def test_where_uniform_couplings_do_not_apply_the_reason_stands_instead_of_an_accuracy():
    content = health()
    content["tests"][1] = {"routing": "uniform", "trained": False, "applies": False, "reason": "R"}
    said = " ".join(findings(content))
    assert "Uniform couplings do not apply: R." in said and "Accuracy" not in said
    assert ("uniform", "does not apply: R", "", "") in rows_of_tests(content)


def test_an_answer_to_no_input_is_said_where_there_is_one():
    networks = [one | {"without_input": [0.12, 0.1]} for one in health()["networks"]]
    said = " ".join(findings(health(networks=networks)))
    assert "exceeds 0.1 (class capsules: above their answer to no input, at most 0.12) on" in said


def test_couplings_that_are_no_shares_have_no_entropy():
    row = {"pass": 1, "entropy": None, "agreement": 2.0, "gained": None}
    assert any("are no shares" in text for text in findings(health(passes=[row])))
    assert pass_rows(health(passes=[row])) == [("1", "–", "2.000", "")]


def test_the_inspection_of_a_run_is_not_that_of_its_evaluation(make_run):
    run = add(make_run(size=(8, 8)), (8, 8))
    other = run / "evaluations" / "b"
    other.mkdir(parents=True)
    for name in ("cohort.csv", "predictions.csv", "metrics.json"):
        (other / name).write_bytes((run / name).read_bytes())
    assert read_inside(read_run(other)) is None
    assert read_inside(read_run(run)) is not None


def test_a_damaged_inspection_is_named(make_run):
    run = add(make_run(size=(8, 8)), (8, 8))
    (run / "inspect" / "cases.npz").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="got damaged ones; write them again with"):
        write_report(run)


def test_a_map_is_linear_between_places_and_ends_half_a_step_beyond_them():
    maps = np.array([[[[0.0, 0.0], [1.0, 1.0]]]])
    cases = {"couplings": maps, "first": [4, 4], "step": [4, 4], "image": np.zeros((1, 1, 12, 12))}
    found = spread(Inside({}, cases, {}), 0, 0)
    assert found[4:9, 6].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert np.isnan(found[1, 6]) and found[2, 6] == 0 and found[10, 6] == 1
    assert np.isnan(found[11]).all() and np.isnan(found[:, 1]).all()


def test_the_cut_of_a_volume_is_taken_at_its_middle_place():
    maps = np.zeros((1, 1, 1, 1, 3))
    maps[..., 1] = 0.7
    shape = {"first": [4, 4, 0], "step": [8, 8, 4], "image": np.zeros((1, 1, 8, 8, 8))}
    found = spread(Inside({}, {"couplings": maps, **shape}, {}), 0, 0)
    assert found.shape == (8, 8) and np.allclose(found, 0.7)


def test_colours_are_clear_where_couplings_are_equal_and_full_at_the_largest():
    shades = tinted(np.array([0.5, 0.6, 0.4, np.nan]), 0.5, 0.1)
    assert shades[:, 3].tolist() == pytest.approx([0, COVER, COVER, 0])
    assert shades[1, 0] > shades[1, 2] and shades[2, 0] < shades[2, 2]  # orange, blue


def test_tiles_stand_in_rows_with_a_line_between():
    tiles = [[np.full((2, 3), row + column / 10) for column in range(2)] for row in range(2)]
    whole = mosaic(tiles)
    assert whole.shape == (5, 7) and (whole[2] == 1).all() and (whole[:, 3] == 1).all()
    assert whole[4, 6] == 1.1 and whole[0, 0] == 0


def test_the_effect_of_a_component_is_from_its_first_to_its_last_picture():
    moved = np.zeros((2, 11, 1, 2, 2))
    moved[1, -1, 0, 0, 0] = 0.4
    assert effect(moved).tolist() == pytest.approx([0, 0.1])


def seen(couplings=0.5, **cases):
    """An inspection of which only the couplings and the drawn cases matter."""
    maps = np.full((1, 2, 2, 2), 0.5)
    maps[0, 0, 0, 0] = couplings
    return Inside(health(), {"couplings": maps, "equal_share": 0.5} | cases, {})


def test_couplings_that_are_all_but_equal_are_drawn_faint_and_larger_ones_in_full():
    assert scale(seen(0.506)) == (0.5, pytest.approx(0.1))
    assert scale(seen(0.8)) == (0.5, pytest.approx(0.3))


def test_couplings_that_are_all_but_equal_are_called_so(make_run):
    run = add(make_run(size=(8, 8)), (8, 8), flat=True)
    path = run / "inspect" / "cases.npz"
    arrays = dict(np.load(path))
    arrays["couplings"][0, 0, 0, 0] = 0.506
    np.savez(path, **arrays)
    said = "The couplings are all but equal: none is more than 1.2% off an equal share"
    assert said in page(run).text


def test_the_axis_of_the_entropy_shows_the_whole_of_it_and_more_agreement_is_still_seen():
    low, high = limits(np.array([1.0, 0.9999]), 1.0)
    assert low < 0 and 1 < high < 1.2
    low, high = limits(np.array([0.0001, np.nan]), 0.05)
    assert low < 0 and 0.05 < high < 0.06
    assert limits(np.array([-2.0, 3.0]), 0.05) == pytest.approx((-2.4, 3.4))


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (0.00001, 0.0003, "No agreement of votes and class capsules: it stays below 0.001 over 2"),
        (0.960, 0.961, "Agreement stays at 0.961 over 2 passes."),
        (0.960, 0.900, "Agreement falls from 0.960 to 0.900 over 2 passes."),
    ],
)
def test_agreement_that_hardly_changes_is_not_said_to_grow(first, last, said):
    rows = [
        row | {"agreement": a} for row, a in zip(health()["passes"], (first, last), strict=True)
    ]
    assert said in " ".join(findings(health(passes=rows)))


def test_components_that_change_nothing_are_said_to():
    moved = np.full((2, 4, 11, 1, 8, 8), 0.5)
    said = nothing_moves(Inside({}, {}, {"perturbed": moved}))
    assert "Moving a component changes next to nothing: less than 0.0001 of a" in said
    moved[0, 0, -1] += 0.1
    assert nothing_moves(Inside({}, {}, {"perturbed": moved})) == ""
    assert nothing_moves(Inside({}, {}, {})) == ""


def test_true_and_predicted_class_stand_on_one_line_or_break_before_the_arrow():
    wrong = seen(target=[0], predicted=[1])
    assert name_of(wrong, 0) == "benign → malignant"
    assert name_of(wrong, 0, longest=14) == "benign\n→ malignant"
    assert name_of(seen(target=[1], predicted=[1]), 0) == "malignant"
