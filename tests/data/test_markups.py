import json

import numpy as np
import pytest

from capsmed.data import markups
from capsmed.errors import DataError

PLACE = [-41.5, 12.25, -310.0]


def slicer_json(path, system, points, **more):
    markup = {"type": "Fiducial", "coordinateUnits": "mm", "controlPoints": points, **more}
    if system is not None:
        markup["coordinateSystem"] = system
    path.write_text(json.dumps({"@schema": "markups-schema", "markups": [markup]}))
    return path


def point(label="F-1", position=PLACE, status="defined"):
    return {"label": label, "position": position, "positionStatus": status}


def fcsv(path, system, lines):
    head = ["# Markups fiducial file version = 4.11"]
    head += [f"# CoordinateSystem = {system}"] if system is not None else []
    head += ["# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"]
    path.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
    return path


def fcsv_line(label="F-1", position=PLACE):
    return f"1,{position[0]},{position[1]},{position[2]},0,0,0,1,1,1,0,{label},,"


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("RAS", 1), ("1", -1), (0, 1)])
def test_the_frame_that_the_json_names_is_turned_to_ras(tmp_path, system, sign):
    found = markups.read(slicer_json(tmp_path / "a.mrk.json", system, [point()]))
    assert found.tolist() == [sign * PLACE[0], sign * PLACE[1], PLACE[2]]


@pytest.mark.parametrize(("system", "sign"), [("0", 1), ("RAS", 1), ("1", -1), ("LPS", -1)])
def test_the_frame_that_the_fcsv_names_is_turned_to_ras(tmp_path, system, sign):
    found = markups.read(fcsv(tmp_path / "a.fcsv", system, [fcsv_line()]))
    assert np.allclose(found, [sign * PLACE[0], sign * PLACE[1], PLACE[2]])


@pytest.mark.parametrize(("system", "got"), [(None, "none"), ("2", "'IJK'"), ("IJK", "'IJK'")])
@pytest.mark.parametrize("form", ["json", "fcsv"])
def test_a_frame_that_is_missing_or_of_voxels_is_refused(tmp_path, form, system, got):
    path = (
        slicer_json(tmp_path / "a.mrk.json", system, [point()])
        if form == "json"
        else fcsv(tmp_path / "a.fcsv", system, [fcsv_line()])
    )
    with pytest.raises(DataError, match=f"expected the frame RAS or LPS as .*, got {got}"):
        markups.read(path)


def test_a_label_names_one_of_several_points(tmp_path):
    points = [point("left"), point("right, lower", [1, 2, 3]), point("right", [4, 5, 6])]
    path = slicer_json(tmp_path / "a.mrk.json", "RAS", points)
    assert markups.read(path, "right").tolist() == [4, 5, 6]
    lines = [fcsv_line("left"), fcsv_line('"right, lower"', [1, 2, 3])]
    path = fcsv(tmp_path / "a.fcsv", "RAS", lines)
    assert markups.read(path, "right, lower").tolist() == [1, 2, 3]


def test_several_points_need_a_label_and_unknown_ones_are_told(tmp_path):
    path = slicer_json(tmp_path / "a.mrk.json", "RAS", [point("left"), point("right")])
    with pytest.raises(DataError, match="expected one control point, got 2; name one in .*_label"):
        markups.read(path)
    with pytest.raises(DataError, match="no control point 'rihgt'; .* did you mean 'right'"):
        markups.read(path, "rihgt")


def test_points_that_were_not_placed_do_not_count(tmp_path):
    points = [point("a", status="undefined"), point("b", [1, 2, 3]), point("c", status="missing")]
    assert markups.read(slicer_json(tmp_path / "a.mrk.json", "RAS", points)).tolist() == [1, 2, 3]


def test_outlines_and_planes_are_no_points(tmp_path):
    path = slicer_json(tmp_path / "a.mrk.json", "RAS", [point()], type="ROI")
    with pytest.raises(DataError, match="expected one control point, got 0"):
        markups.read(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mrk.json", "{", "expected Slicer's markups JSON"),
        ("a.mrk.json", "[1]", "expected Slicer's markups JSON"),
        ("a.mrk.json", '{"markups": [{}]}', "expected Slicer's markups JSON"),
        ("a.fcsv", "# CoordinateSystem = 0\n1,a,b,c\n", "expected id,x,y,z"),
        ("a.fcsv", "# CoordinateSystem = 0\n1,nan,0,0\n", "expected three numbers"),
        ("a.txt", "", "expected a file ending in .mrk.json or .fcsv"),
    ],
)
def test_files_that_are_none_say_so(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        markups.read(tmp_path / name)


def test_other_units_than_millimetres_are_refused(tmp_path):
    path = slicer_json(tmp_path / "a.mrk.json", "RAS", [point()], coordinateUnits="cm")
    with pytest.raises(DataError, match="expected millimetres, got 'cm'"):
        markups.read(path)
