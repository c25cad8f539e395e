"""The case view's coupling maps: their colours, their scale, what a page holds."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from capsmed.report import case_pictures, write_report
from capsmed.report.case_couplings import UNIFORM, Scale, legend, maps_of
from capsmed.report.style import MODEL, SIZE

EQUAL = {"coupling_equal": np.array(0.5)}


def arrays(values, classes=((0, 1),), at=(0, 1)):
    """The content of a cuts.npz: ``values [cases, 2, x, y]`` of pictures."""
    places = {f"coupling_at_{axis}": np.array(at) for axis in "xy"}
    return (
        {"coupling_image": np.array(values), "coupling_class": np.array(classes)} | EQUAL | places
    )


def on_page(run):
    text = write_report(run).read_text(encoding="utf-8")
    found = re.search(r'id="case-pictures">(.*?)</script>', text, re.DOTALL)[1]
    return text, json.loads(found)


def test_orange_is_more_than_an_equal_share_blue_less_white_as_much():
    found = arrays([[[[0.5, 0.9], [0.1, 0.5]], [[0.5, 0.5], [0.5, 0.5]]]])
    [(k, [plane]), _] = maps_of(found, 0, Scale.of([found]), lambda cut: cut)
    names = [bytes(pixel).hex() for pixel in plane.reshape(-1, 3)]
    assert k == 0 and names == ["ffffff", SIZE[1:].lower(), MODEL[1:].lower(), "ffffff"]


def test_cells_are_as_large_as_the_steps_of_the_grid_and_black_beyond_it():
    found = arrays([[[[0.9, 0.9], [0.1, 0.1]]] * 2], at=(-1, 0, 0, 0, 1))
    plane = maps_of(found, 0, Scale.of([found]), lambda cut: cut)[0][1][0]
    orange, blue = (tuple(bytes.fromhex(colour[1:])) for colour in (SIZE, MODEL))
    assert [tuple(pixel) for pixel in plane[:, 2]] == [(0, 0, 0), *[orange] * 3, blue]
    assert not plane[2, 0].any()


def test_a_right_case_has_one_map_a_wrong_one_two():
    found = arrays(np.full((2, 2, 2, 2), 0.4), classes=((1, 1), (0, 1)))
    scale = Scale.of([found])
    drawn = [[k for k, _ in maps_of(found, i, scale, lambda cut: cut)] for i in range(2)]
    assert drawn == [[1], [0, 1]]


def test_one_scale_serves_all_folds():
    near, far = arrays(np.full((1, 2, 2, 2), 0.45)), arrays(np.full((1, 2, 2, 2), 0.9))
    assert Scale.of([near, far]) == Scale(0.5, pytest.approx(0.4), True)
    told = legend(Scale.of([near, far]))
    assert (told["low"], told["equal"], told["high"], told["middle"]) == (
        "0.10",
        "0.50",
        "0.90",
        50,
    )


def test_couplings_that_are_all_but_equal_are_drawn_faint_and_said_to_be():
    told = legend(Scale.of([arrays(np.full((1, 2, 2, 2), 0.49))]))
    assert "none is more than 2% off an equal share" in told["caption"]
    assert (told["low"], told["high"]) == ("0.40", "0.60")


def test_couplings_that_are_no_shares_are_measured_from_their_mean():
    found = arrays([[[[-1.0, 1.0], [3.0, 1.0]]] * 2]) | {"coupling_equal": np.array(np.nan)}
    scale = Scale.of([found])
    assert (scale.equal, scale.most, scale.shares) == (1, 2, False)
    assert "more than the mean" in legend(scale)["caption"] and legend(scale)["low"] == "−1.00"


def test_the_page_holds_the_maps_as_stored(make_run):
    run = make_run(couplings=True)
    page, held = on_page(run)
    stored = np.load(run / "repeat-0" / "seed-0" / "fold-0" / "cuts.npz")
    ids = json.loads(re.search(r'id="case-data">(.*?)</script>', page, re.DOTALL)[1])
    number = ids["picture"][ids["id"].index(str(stored["case_id"][0]))]
    first, png = held["maps"][number][0]
    assert first == stored["coupling_class"][0, 0]
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (12, 3 * 12 + 2 * 2, 3)
    # patient's right on the left, front up: the first pixel is the last place along x and y
    value, most = stored["coupling_xy"][0, 0, 4, 4], float(held["scale"]["high"]) - 0.5
    strength = abs(value - 0.5) / most
    colour = np.array(list(bytes.fromhex((SIZE if value > 0.5 else MODEL)[1:])))
    assert pixels[1, 1] == pytest.approx(255 - strength * (255 - colour), abs=3)


def test_a_run_without_couplings_has_no_section_for_them(make_run):
    page, held = on_page(make_run())
    assert 'id="case-couplings"' not in page and "maps" not in held and "uniform" not in held


def test_a_routing_that_shares_alike_by_design_is_said_to(make_run):
    run = make_run(size=(8, 8))
    for path in run.rglob("cuts.npz"):
        np.savez(path, **np.load(path), coupling_uniform=True)
    page, held = on_page(run)
    assert held["uniform"] == UNIFORM and 'id="case-couplings"' not in page


def test_maps_count_towards_the_bytes_of_pictures(make_run, monkeypatch):
    run = make_run(couplings=True, reconstructions=False, size=(12, 12))
    whole = on_page(run)[1]
    both = zip(whole["images"], whole["maps"], strict=True)
    drawn = [len(image) + sum(len(png) for _, png in maps) for image, maps in both]
    monkeypatch.setattr(case_pictures, "MOST_BYTES", sum(drawn) / 2)
    assert 0 < len(on_page(run)[1]["images"]) < 0.6 * len(drawn)
