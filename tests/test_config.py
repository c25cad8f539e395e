"""A right configuration: defaults, overrides, paths, and YAML that reads back the same."""

import json
import os
from pathlib import Path

import pytest
import yaml

from capsmed import shipped
from capsmed.config import (
    Component,
    Data,
    Experiment,
    HeldOut,
    dump,
    json_schema,
    load,
    load_run,
    shareable,
)
from capsmed.config.parse import parse, scalar
from capsmed.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text("name: study\n" + text, encoding="utf-8")
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write(tmp_path, "data: {cohort: cases.csv}\nnetwork: capsnet\n")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("no", "no"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2020-01-01", "2020-01-01"),
        ("~", None),
        ("True", True),
    ],
)
def test_a_plain_word_means_what_yaml_1_2_says(word: str, value: object) -> None:
    assert scalar(word) == value
    assert type(scalar(word)) is type(value)


def test_a_quoted_word_stays_text() -> None:
    assert parse("a: '1e-3'\nb: \"true\"", "x.yaml").data == {"a": "1e-3", "b": "true"}


def test_every_key_knows_its_line() -> None:
    document = parse("a:\n  b: [1,\n    2]\n", "x.yaml")
    assert document.place(("a", "b")) == "x.yaml:2"
    assert document.place(("a", "b", 1)) == "x.yaml:3"
    assert document.place(("a", "missing")) == "x.yaml:1"


def test_what_is_left_out_gets_the_schemas_default(study: Path) -> None:
    experiment = load(study).experiment
    assert experiment.split.folds == Experiment.model_fields["split"].default.folds
    assert experiment.network == Component(name="capsnet")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: study\r\ndata: {cohort: demo}\r\n")
    assert load(path).experiment.name == "study"


def test_options_without_a_name_belong_to_the_default_component(study: Path) -> None:
    optimizer = load(study, ["optimizer.lr=1e-3"]).experiment.optimizer
    assert (optimizer.name, optimizer.options) == ("adam", {"lr": 0.001})


def test_an_override_reaches_into_a_component_given_by_its_name_alone(study: Path) -> None:
    network = load(study, ["network.routing=[dynamic, {iterations: 1}]"]).experiment.network
    assert network.options == {"routing": ["dynamic", {"iterations": 1}]}


def test_later_overrides_win_and_lists_count_from_zero(study: Path) -> None:
    changes = ["patch.size=[8, 9, 10]", "patch.size.1=7", "split.folds=3", "split.folds=4"]
    experiment = load(study, changes).experiment
    assert (experiment.patch.size, experiment.split.folds) == ((8, 7, 10), 4)


def test_an_override_mends_what_the_file_says_wrongly(tmp_path: Path) -> None:
    path = write(tmp_path, "data: {cohort: demo}\ntraining: {epochs: many}\n")
    assert load(path, ["training.epochs=2"]).experiment.training.epochs == 2


def test_an_experiment_cannot_be_changed(study: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(study).experiment.training.epochs = 3


def test_paths_start_at_the_yamls_folder(study: Path) -> None:
    assert load(study).base == study.parent


def test_paths_of_shipped_configs_start_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    by_path = load(shipped.folder("configs") / "lung.yaml")
    assert (load("lung").base, by_path.base) == (tmp_path, tmp_path)
    assert load("lung").experiment == by_path.experiment


def test_only_the_data_variable_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    path = write(tmp_path, "data: {cohort: '${CAPSMED_DATA}/a.csv', encoding: '$HOME'}\n")
    data = load(path).experiment.data
    assert (Path(data.cohort), data.encoding) == (tmp_path / "a.csv", "$HOME")
    with pytest.raises(ConfigError, match="as the only variable, got '.{HOME}/a.csv'"):
        load(path, ["data.cohort=${HOME}/a.csv"])


def test_a_relative_data_folder_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPSMED_DATA", "sets")
    path = write(tmp_path / "elsewhere", "data: {cohort: '${CAPSMED_DATA}/a.csv'}\n")
    assert Path(load(path).experiment.data.cohort) == Path(os.path.abspath("sets")) / "a.csv"


def test_an_unset_data_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAPSMED_DATA", raising=False)
    path = write(tmp_path, "data:\n  cohort: ${CAPSMED_DATA}/a.csv\n")
    with pytest.raises(ConfigError, match=r":3: data\.cohort: .*variable CAPSMED_DATA.*; set it"):
        load(path)


@pytest.mark.parametrize("name", shipped.names("configs"))
def test_every_shipped_config_loads_and_reads_back_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    experiment = load(name).experiment
    copy = tmp_path / "config.yaml"
    copy.write_text(dump(experiment), encoding="utf-8")
    assert load_run(tmp_path).experiment == experiment
    assert experiment.name == name


@pytest.mark.parametrize("name", shipped.names("configs"))
def test_every_shipped_config_opens_with_data_expectation_and_time(name: str) -> None:
    text = shipped.folder("configs").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    comment = text.partition("name:")[0]
    assert "# Data: " in comment
    assert "# Expected: " in comment


@pytest.mark.parametrize("word", ["1e-3", "no", "0o7", "null", "a: b", "Größe", "007", ""])
def test_text_that_looks_like_something_else_is_dumped_as_text(word: str, tmp_path: Path) -> None:
    data = Data(cohort="demo", classes=("x", word))
    path = tmp_path / "config.yaml"
    path.write_text(dump(Experiment(name="study", data=data)), encoding="utf-8")
    assert load(path).experiment.data == data


def test_a_cohort_below_the_data_folder_is_dumped_with_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    written = yaml.safe_load(dump(load("lung_lidc").experiment))
    assert written["data"]["cohort"] == "${CAPSMED_DATA}/lidc_3d/cohort.csv"


def test_a_shared_configuration_names_the_cohort_but_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"cohort": "/clinic/Quxley_Jane/cases.csv"}
    secret = Experiment(name="x", data=Data.model_validate(data))
    assert shareable(secret).data.cohort == "cases.csv"
    assert shareable(load("digits").experiment) == load("digits").experiment
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    assert shareable(load("lung_lidc").experiment) == load("lung_lidc").experiment


def test_a_run_finds_its_cohort_by_its_private_list(study: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "private").mkdir(parents=True)
    (run / "config.yaml").write_text(dump(shareable(load(study).experiment)))
    (run / "private" / "ids.csv").write_text(f"case_id,folder\nc1,{study.parent}\n")
    assert load_run(run).base == study.parent


def test_a_folder_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a run folder with config.yaml, got none"):
        load_run(tmp_path)


def test_the_json_schema_knows_every_key_and_lets_a_component_be_a_word() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == set(Experiment.model_fields)
    kinds = schema["properties"]["network"]["anyOf"]
    assert {"type": "string"} in kinds
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("value", ["", "null", "''"])
def test_weights_into_nothing_means_the_whole_network(value: str) -> None:
    assert load("digits", [f"weights.into={value}"]).experiment.weights.into == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0.2", {"share": 0.2}),
        ("null", {}),
        ("{column: site, value: Busan}", {"column": "site", "value": "Busan"}),
    ],
)
def test_held_out_is_a_share_or_a_column_and_reads_back_the_same(
    written: str, meant: dict[str, object], tmp_path: Path
) -> None:
    experiment = load("digits", [f"split.held_out={written}"]).experiment
    assert experiment.split.held_out == HeldOut.model_validate(meant)
    (tmp_path / "config.yaml").write_text(dump(experiment), encoding="utf-8")
    assert load_run(tmp_path).experiment == experiment
