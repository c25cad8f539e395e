"""What a training leaves in TensorBoard, MLflow and CSV, and that none of it is counted twice."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from capsmed.engines.display import Display
from capsmed.engines.tracking import flat_scores, track_report
from capsmed.engines.train import train
from capsmed.errors import ConfigError, TrainingError
from tests.engines.blobs import tiny

# raised by MLflow's own tables with SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
ROOT = Path(__file__).resolve().parents[2]
FOLDS = ("repeat-0/seed-0/fold-0", "repeat-0/seed-0/fold-1")


@pytest.fixture(scope="module")
def mlflow():
    reason = "MLflow is not installed: pip install -c constraints.txt -e '.[mlflow]'"
    pytest.importorskip("sqlalchemy", reason=reason)
    return pytest.importorskip("mlflow", reason=reason)


def client_of(mlflow, run: Path):
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{run.parent / 'mlflow.db'}")


def run_of(client, folder: Path):
    return client.get_run(json.loads((folder / "mlflow.json").read_text())["run_id"])


def all_runs(client, experiment: str = "capsmed") -> list:
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def steps(client, folder: Path) -> list[int]:
    history = client.get_metric_history(run_of(client, folder).info.run_id, "train_loss")
    return [metric.step for metric in history]


@pytest.fixture(scope="module")
def by_default(blobs, tmp_path_factory) -> Path:
    return train(tiny(str(blobs)), base=blobs.parent, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def followed(mlflow, blobs, tmp_path_factory) -> Path:
    """A run of two epochs logged everywhere, with a second model, stopped once."""
    out = tmp_path_factory.mktemp("runs") / "run"
    experiment = tiny(
        str(blobs),
        tracking={"to": ["tensorboard", "mlflow", "csv"]},
        baselines={"models": ["size_only", "ordinary_head"]},
    )
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        patch.setattr(Display, "epoch", interrupt)
        train(experiment, base=blobs.parent, out=out)
    client = client_of(mlflow, out)
    assert [run.info.status for run in all_runs(client)] == ["KILLED", "KILLED"]
    assert steps(client, out / FOLDS[0]) == []  # the epoch was finished but not yet logged
    return train(experiment, base=blobs.parent, out=out, resume=True)


def interrupt(self, fit, row):
    raise KeyboardInterrupt("Ctrl-C")


def test_tensorboard_has_each_epoch_by_default_and_nothing_else_is_written(by_default):
    board = EventAccumulator(str(by_default / FOLDS[1] / "tensorboard")).Reload()
    history = pd.read_csv(by_default / FOLDS[1] / "history.csv")
    losses = board.Scalars("train_loss")
    assert [event.step for event in losses] == [1, 2]
    assert [event.value for event in losses] == pytest.approx(list(history["train_loss"]))
    assert not list(by_default.parent.rglob("*mlflow*")) + list(by_default.rglob("metrics.csv"))


def test_switched_off_only_the_history_is_left(blobs, tmp_path):
    out = train(tiny(str(blobs), tracking={"to": []}), base=blobs.parent, out=tmp_path / "run")
    assert list(pd.read_csv(out / FOLDS[0] / "history.csv")["epoch"]) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not list(out.rglob("tensorboard")) + list(out.rglob("metrics.csv"))


def test_tracking_may_change_when_a_run_goes_on(blobs, by_default):
    (by_default / "metrics.json").unlink()
    experiment = tiny(str(blobs), tracking={"to": ["csv"]})
    train(experiment, base=blobs.parent, out=by_default, resume=True)
    rows = pd.read_csv(by_default / "metrics.csv", header=None, index_col=0)[1]
    scores = json.loads((by_default / "metrics.json").read_text())["model"]
    assert rows["auc"] == scores["auc"]["value"] and rows["auc_low"] == scores["auc"]["low"]
    (by_default / "metrics.csv").unlink()


def test_csv_has_the_last_epoch_of_a_fold_in_monais_layout(blobs, tmp_path):
    experiment = tiny(str(blobs), tracking={"to": ["csv"]})
    out = train(experiment, base=blobs.parent, out=tmp_path / "run")
    rows = pd.read_csv(out / FOLDS[0] / "metrics.csv", header=None, index_col=0)[1]
    last = pd.read_csv(out / FOLDS[0] / "history.csv").iloc[-1]
    assert dict(rows) == {name: last[name] for name in rows.index}
    assert {"train_loss", "inner_loss", "inner_auc", "lr"} <= set(rows.index)


def test_a_score_without_an_interval_has_no_ends():
    scores = {"auc": {"value": 0.5, "low": 0.25, "high": 1}, "ece": {"value": 0.1, "low": None}}
    found = flat_scores({"model": {**scores, "name": "a"}, "baselines": {"b": scores}})
    own = {"auc": 0.5, "auc_low": 0.25, "auc_high": 1.0, "ece": 0.1}
    assert found == own | {f"b/{name}": value for name, value in own.items()}


def test_a_resumed_training_goes_on_in_its_mlflow_run_and_logs_no_epoch_twice(mlflow, followed):
    client = client_of(mlflow, followed)
    for fold in (*FOLDS, *(f"baselines/ordinary_head/{fold}" for fold in FOLDS)):
        assert steps(client, followed / fold) == [1, 2]
    assert [run.info.status for run in all_runs(client)] == ["FINISHED"] * 5


def test_mlflow_has_the_history_of_each_fold(mlflow, followed):
    client, fold = client_of(mlflow, followed), followed / FOLDS[0]
    history = pd.read_csv(fold / "history.csv").drop(columns=["epoch", "schema_version"])
    run_id = run_of(client, fold).info.run_id
    for name, values in history.items():
        logged = [metric.value for metric in client.get_metric_history(run_id, name)]
        assert logged == pytest.approx(list(values))


def test_an_mlflow_run_says_which_training_it_is_and_how_it_was_configured(mlflow, followed):
    found = run_of(client_of(mlflow, followed), followed / "baselines/ordinary_head" / FOLDS[1])
    assert found.info.run_name == "run ordinary_head repeat 0 seed 0 fold 1"
    tags = {name: found.data.tags[name] for name in ("run", "model", "repeat", "seed", "fold")}
    expected = {"run": "run", "model": "ordinary_head", "repeat": "0", "seed": "0", "fold": "1"}
    assert tags == expected
    assert found.data.params["network.channels"] == "[4]"
    assert found.data.params["augmentation.noise"] == "0.1"


def test_the_pooled_metrics_are_those_of_the_parent_run(mlflow, followed):
    client = client_of(mlflow, followed)
    parent = run_of(client, followed)
    children = [run for run in all_runs(client) if run.info.run_id != parent.info.run_id]
    parents = {run.data.tags["mlflow.parentRunId"] for run in children}
    assert parents == {parent.info.run_id}
    metrics = json.loads((followed / "metrics.json").read_text())
    assert parent.data.metrics == pytest.approx(flat_scores(metrics))


def test_nothing_private_reaches_mlflow(mlflow, blobs, followed):
    (followed / "report.html").write_text("the report")
    track_report(followed, tiny(str(blobs), tracking={"to": ["mlflow"]}))
    client = client_of(mlflow, followed)
    for run in all_runs(client):
        pages = ["report.html"] if run.info.run_name == "run" else []
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == pages
    content = (followed.parent / "mlflow.db").read_bytes()
    salt = pd.read_csv(followed / "private" / "salt.csv")["salt"][0]
    for word in ("patient-0", str(blobs.parent), salt):
        assert word.encode() not in content


def test_the_store_of_the_environment_and_the_named_experiment_are_used(
    mlflow, followed, blobs, tmp_path, monkeypatch
):
    shutil.copy(followed.parent / "mlflow.db", tmp_path / "mine.db")  # making its tables is slow
    store = f"sqlite:///{tmp_path / 'mine.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)  # MLflow's own place of artifacts
    tracking = {"to": ["mlflow"], "experiment": "blobs"}
    experiment = tiny(str(blobs), tracking=tracking, training={"epochs": 1})
    train(experiment, base=blobs.parent, out=tmp_path / "run")
    client = mlflow.MlflowClient(tracking_uri=store)
    assert len(all_runs(client, "blobs")) == 3
    assert not (tmp_path / "mlflow.db").exists()
    client.delete_experiment(client.get_experiment_by_name("blobs").experiment_id)
    with pytest.raises(ConfigError, match="got 'blobs', which is deleted in MLflow"):
        train(experiment, base=blobs.parent, out=tmp_path / "another")


def test_a_store_that_fails_is_told_and_the_training_goes_on_without_it(
    mlflow, followed, blobs, tmp_path, monkeypatch
):
    store, out = tmp_path / "mlflow.db", tmp_path / "run"
    shutil.copy(followed.parent / "mlflow.db", store)
    with monkeypatch.context() as patch:
        patch.setattr(Display, "epoch", lambda *_: store.write_text("no database " * 100_000))
        with pytest.raises(TrainingError, match="expected a store that MLflow can write, got: "):
            train(tiny(str(blobs), tracking={"to": ["mlflow"]}), base=blobs.parent, out=out)
    train(tiny(str(blobs), tracking={"to": []}), base=blobs.parent, out=out, resume=True)
    assert list(pd.read_csv(out / FOLDS[0] / "history.csv")["epoch"]) == [1, 2]


def test_a_missing_mlflow_is_told_before_data_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    message = "expected the package .* for 'mlflow', got none; pip install 'capsmed[mlflow]'"
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        train(tiny("no.csv", tracking={"to": ["mlflow"]}), base=tmp_path, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match=re.escape("to: expected each at most once, got ['csv'")):
        tiny("no.csv", tracking={"to": ["csv", "csv"]})


def test_mlflow_reports_nothing_of_its_use(mlflow):
    code = (
        "import capsmed, mlflow, sys\nsys.exit(mlflow.telemetry.get_telemetry_client() is not None)"
    )
    # which MLflow takes for a test of itself
    silent = {"CI", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "GITHUB_ACTIONS"}
    variables = {key: value for key, value in os.environ.items() if key not in silent}
    assert subprocess.run([sys.executable, "-c", code], env=variables, cwd=ROOT).returncode == 0
