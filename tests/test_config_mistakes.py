"""What a wrong configuration is told: place, key, expected, got, nearest name; all at once."""

from pathlib import Path

import pytest

from capsmed.config import load
from capsmed.errors import ConfigError

RIGHT = "name: study\ndata: {cohort: demo}\n"

REFUSED = {
    "training: {epoch: 3}": r":3: training: expected one of .*, got 'epoch'; did you mean 'epochs'",
    "epochs: 3": r":3: experiment: expected .*, got 'epochs'; 'epochs' belongs in 'training'",
    "training: {data: 3}": r"training: expected one of .*; 'data' is a section of its own",
    "training: {epochs: many}": r":3: training\.epochs: expected a whole number, got 'many'",
    "training: {epochs: 2.5}": r"training\.epochs: expected a whole number, got 2\.5",
    "training: {epochs: true}": r"training\.epochs: expected a whole number, got true",
    "training: {epochs: '3'}": r"training\.epochs: expected a whole number, got '3'",
    "training: {epochs: 0}": r"training\.epochs: expected a number >= 1, got 0",
    "training: {ema: 1}": r"training\.ema: expected a number < 1, got 1",
    "training: {clip: .nan}": r"training\.clip: expected a .*number.*, got NaN",
    "training: {sampling: blanced}": r"expected 'balanced' or 'natural', .*mean 'balanced'",
    "training: {compile: true, convolutions: spectral}": r"training\.convolutions: expected auto "
    "or direct with compile: true",
    "augmentation: {flip: yes}": r"augmentation\.flip: expected true or false, got 'yes'",
    "augmentation: 3": r"augmentation: expected a section with keys of its own, got 3",
    "patch: {size: [8, 8]}": r"patch\.size: expected 3 numbers \(spatial_dims\), got 2",
    "patch: {spacing: wide}": r"patch\.spacing: expected a number or a list, got 'wide'",
    "patch: {window: [400, -1000]}": r"patch\.window: expected low < high",
    "device: gpu": r"device: expected text like .*cuda.*, got 'gpu'",
    "seeds: []": r"seeds: expected at least 1 entries, got \[\]",
    "seeds: [1, 1]": r"seeds: expected different numbers, got \[1, 1\]",
    "split: {column: fold, leave_out: site}": r"split\.leave_out: expected only one of column",
    "split: {held_out: 1.5}": r"split\.held_out: expected a number < 1, got 1\.5",
    "split: {held_out: {colum: a}}": r"split\.held_out: expected one of share, column, value, .*"
    "mean 'column'",
    "split: {held_out: {share: 0.2, column: a}}": r"held_out\.column: expected only one of share",
    "split: {held_out: {value: a}}": r"held_out\.value: expected a column that has it, got 'a'",
    "split: {held_out: 0.2, column: fold}": r"split\.held_out: expected folds that are drawn, or "
    "leave_out, got parts given by the column 'fold'",
    "optimizer: {name: 3}": r"optimizer\.name: expected text, got 3; put it in quotes",
    "seeds: 0": r"seeds: expected a list, got 0",
    "name: twice": r":3: name: expected each key once, got it again \(first: .*:1\)",
    "training: {epochs: !!int 3}": r"training\.epochs: expected a plain value, got the tag",
    "training: &a {epochs: 3}": r":3: expected YAML, .*anchors and aliases .* are not supported",
    "? [a, b]\n: 3": r"experiment: expected words as keys, got a list or a mapping",
    "training: {epochs: 3": r":\d: expected YAML, got text that cannot be read",
    "\tname: x": r":3: expected YAML, got text that cannot be read",
    "[" * 3000: r"expected YAML, got text that cannot be read",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("line", REFUSED, ids=[key[:40] for key in REFUSED])
def test_a_wrong_line_is_refused_with_its_place_and_advice(line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=REFUSED[line]):
        load(write(tmp_path, RIGHT + line))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", r"data\.cohort: expected a value, got none; add it"),
        ("{cohort: demo, classes: [0, 1]}", r"data\.classes\.0: expected text, got 0; put it in"),
        ("{cohort: demo, classes: [a]}", r"data\.classes: expected two or more different labels"),
        ("{cohort: demo, classes: [a, b], positive: c}", r"data\.positive: expected one of .*'c'"),
        ("{cohort: demo, frame: lps}", r"data\.frame: expected 'RAS' or 'LPS'.* mean 'LPS'"),
    ],
)
def test_wrong_data_are_refused(data: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, f"name: study\ndata: {data}\n"))


def test_three_mistakes_and_a_wrong_override_are_listed_at_once_in_the_files_order(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, RIGHT + "training:\n  epoch: 3\n  workers: -1\npatch: {size: [0, 8]}\n")
    with pytest.raises(ConfigError, match="4 mistakes") as caught:
        load(path, ["split.folds=1"])
    lines = str(caught.value).splitlines()
    assert [line.split()[1 if "--set" in line else 0] for line in lines[1:]] == [
        "split.folds:",
        f"{path}:4:",
        f"{path}:5:",
        f"{path}:6:",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=x", r"^--set training\.epochs: expected a whole number, got 'x'$"),
        ("training.epoch=3", r"^--set training\.epoch: training: expected .* mean 'epochs'"),
        ("a.b=1", r"^--set a\.b: experiment: expected one of .*, got 'a'"),
        ("epochs", r"^--set epochs: expected key\.sub=value, got no such pair"),
        ("training..epochs=3", r"expected key\.sub=value, got no such pair"),
        ("name.first=3", r"^--set name\.first: expected a key, got a part of a value"),
        ("patch.size.7=3", r"^--set patch\.size\.7: expected a key, got a part of a value"),
        ("tuning.space.optimizer.lr=[1,2]", r"space: expected keys written whole, such as opt.*lr"),
        ("tuning.space={optimizer.lr: [.nan, 1]}", r"tuning\.space: expected finite numbers for"),
        ("tuning.space={optimizer.lr: [1]}", r"tuning\.space: expected two or more values for opt"),
        (
            "tuning.space={optimizer.lr: 1}",
            r"expected for optimizer.lr a range such as \{low: .* 1$",
        ),
        (
            "tuning.space={a.b: {low: 1}}",
            r"tuning\.space: expected a number as high of a\.b, got N",
        ),
        ("tuning.space={a.b: {low: x, high: 1}}", r"expected a number as low of a\.b, got 'x'"),
        (
            "tuning.space={a.b: {low: 1, high: 2, step: 1}}",
            r"one of low, high, log for a\.b, got 's",
        ),
        ("tuning.space={a.b: {low: 1, high: 2, log: 1}}", r"expected true or false as log of a\.b"),
        ("tuning.space=[1]", r"^--set tuning\.space: expected keys and values, got \[1\]"),
        ("patch.size=[1", r"^--set patch\.size: expected YAML, got text that cannot be read"),
    ],
)
def test_an_override_is_checked_like_the_file(override: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, RIGHT + "patch: {size: [8, 8, 8]}\n")
    with pytest.raises(ConfigError, match=message):
        load(path, [override])


def test_a_name_that_is_neither_file_nor_shipped_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"expected a YAML file or one of .*mean 'lung_lidc'"):
        load("lung_lidcc")


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Höhe".encode("latin-1"))
    with pytest.raises(ConfigError, match="expected UTF-8 text, got other bytes"):
        load(path)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n"])
def test_a_file_without_keys_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="study.yaml:1: expected keys and values"):
        load(write(tmp_path, text))


def test_an_empty_file_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"2 mistakes\n.*name: .*got none; add it\n.*data: "):
        load(write(tmp_path, ""))
