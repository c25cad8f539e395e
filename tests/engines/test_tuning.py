"""The search for hyper-parameters inside the folds."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from capsmed import config
from capsmed.cli.result import is_finished
from capsmed.engines import fit as fitting
from capsmed.engines.evaluate import evaluate
from capsmed.engines.inside.look import inspect_run
from capsmed.engines.run_data import read_data
from capsmed.engines.train import train
from capsmed.engines.tuning import search as searching
from capsmed.engines.tuning.chosen import chosen_in
from capsmed.engines.tuning.inner_folds import inner_splits
from capsmed.engines.tuning.space import check_space, mattering, usual_space
from capsmed.engines.tuning.trials import COMPLETE, Trial, Trials
from capsmed.errors import CheckpointError, ConfigError, DataError, TrainingError
from capsmed.report import write_report
from tests.engines.blobs import tiny, write_blobs

SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "network.routing": ["dynamic", "self_attention"],
    "augmentation.shift": [0, 2],
}
ASKED = {"trials": 3, "folds": 2, "space": SPACE}


def tuned(cohort, **changes):
    return tiny(
        str(cohort),
        tuning=ASKED | changes.pop("tuning", {}),
        training={"epochs": 1},
        baselines={"models": ["ordinary_head"]},
        **changes,
    )


@pytest.fixture(scope="module")
def run(blobs, tmp_path_factory):
    return train(tuned(blobs), base=blobs.parent, out=tmp_path_factory.mktemp("tuned") / "run")


def test_each_fold_and_trained_model_is_searched_apart_over_what_changes_it(run):
    found = chosen_in(run)
    assert [(each.model, each.fold) for each in found] == [
        ("capsnet", 0),
        ("capsnet", 1),
        ("ordinary_head", 0),
        ("ordinary_head", 1),
    ]
    assert set(found[0].values) == set(SPACE)
    assert set(found[2].values) == {"optimizer.lr", "augmentation.shift"}
    assert not list(run.rglob("work"))


def test_the_best_complete_trial_is_chosen_and_the_first_has_the_configured_values(run):
    for each in chosen_in(run):
        folder = run / f"tuning/{each.model}/repeat-0/fold-{each.fold}"
        trials = json.loads((folder / "trials.json").read_text())["trials"]
        complete = [trial for trial in trials if trial["state"] == "complete"]
        means = [np.mean(trial["scores"]) for trial in complete]
        assert len(trials) == each.trials == 3 and trials[0]["values"]["optimizer.lr"] == 1e-3
        assert each.score == pytest.approx(max(means))
        assert each.values == complete[int(np.argmax(means))]["values"]
        assert each.configured_score == pytest.approx(means[0])


def test_a_fold_is_trained_with_its_own_values(blobs, tmp_path, monkeypatch):
    used = []
    build = fitting.FoldTrainer.__init__

    def noted(self, fit, experiment, *rest, **more):
        if "tuning" not in fit.folder.parts:
            used.append((fit.model, fit.fold, experiment.optimizer.options["lr"]))
        build(self, fit, experiment, *rest, **more)

    monkeypatch.setattr(fitting.FoldTrainer, "__init__", noted)
    run = train(tuned(blobs), base=blobs.parent, out=tmp_path / "run")
    chosen = {(each.model, each.fold): each.values["optimizer.lr"] for each in chosen_in(run)}
    assert used and all(chosen[model, fold] == rate for model, fold, rate in used)


def test_a_chosen_routing_predicts_again_what_it_predicted(run, blobs):
    found = evaluate(run, cohort=str(blobs), overlap="out-of-fold", name="again")
    keys = ["model", "case_id"]
    first, again = (
        pd.read_csv(folder / "predictions.csv").set_index(keys)["prob_large"].sort_index()
        for folder in (run, found)
    )
    assert np.allclose(first, again, atol=1e-5)
    shutil.rmtree(found)


def test_the_test_part_and_its_patients_are_in_no_inner_fold(blobs):
    experiment = tuned(blobs)
    data = read_data(experiment, blobs.parent, show=False)
    patient = data.cohort.included.set_index("case_id")["patient_id"]
    for fold in (0, 1):
        here = data.splits[data.splits["fold"] == fold]
        own = set(here["case_id"][here["part"] != "test"])
        inner = inner_splits(data.cohort, data.splits, experiment, 0, fold)
        tested = inner[inner["part"] == "test"]
        assert set(inner["case_id"]) == own and sorted(tested["case_id"]) == sorted(own)
        for _, part in inner.groupby("fold"):
            whose = part.groupby("part")["case_id"].agg(lambda cases: set(patient[cases]))
            assert not set.intersection(*whose) and set(whose.index) == {"train", "inner", "test"}


def test_an_absurd_patient_changes_nothing_in_the_search_of_the_fold_that_tests_him(tmp_path):
    chosen = []
    for absurd in (False, True):
        folder = tmp_path / str(absurd)
        folder.mkdir()
        table = write_blobs(folder)
        if absurd:
            np.save(folder / "blob0.npy", np.full((16, 16), 2.0, np.float32))
        run = train(tuned(table), base=folder, out=folder / "run", search_only=True)
        splits = pd.read_csv(run / "splits.csv")
        tests = splits.query("case_id == 'case0' and part == 'test'")["fold"].item()
        kept = run.glob(f"tuning/*/repeat-0/fold-{tests}/trials.json")
        trials = [json.loads(path.read_text())["trials"] for path in sorted(kept)]
        chosen.append([[{**t, "seconds": 0} for t in each] for each in trials])
        others = run.glob(f"tuning/*/repeat-0/fold-{1 - tests}/trials.json")
        chosen.append([json.loads(path.read_text())["trials"][0]["scores"] for path in others])
    assert chosen[0] == chosen[2] and chosen[1] != chosen[3]


def test_a_search_that_was_stopped_goes_on_to_the_trials_it_would_have_had(
    run, blobs, tmp_path, monkeypatch
):
    place = "tuning/capsnet/repeat-0/fold-0/trials.json"
    whole = json.loads((run / place).read_text())["trials"]
    tried = searching._try

    def stopped(search, values, display):
        if len(search.trials.done) == 2:
            raise KeyboardInterrupt
        return tried(search, values, display)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(searching, "_try", stopped)
        train(tuned(blobs), base=blobs.parent, out=tmp_path / "run")
    again = train(
        tuned(blobs), base=blobs.parent, out=tmp_path / "run", resume=True, search_only=True
    )
    found = json.loads((again / place).read_text())["trials"]
    assert [{**t, "seconds": 0} for t in found] == [{**t, "seconds": 0} for t in whole]
    assert not (again / "predictions.csv").exists()


def test_one_inner_fold_is_the_inner_part_itself(blobs):
    experiment = tuned(blobs, tuning={"folds": 1})
    data = read_data(experiment, blobs.parent, show=False)
    inner = inner_splits(data.cohort, data.splits, experiment, 0, 1)
    part = inner.groupby("part")["case_id"].agg(sorted)
    assert part["inner"] == part["test"] and not set(part["train"]) & set(part["test"])


def test_a_trial_far_below_the_median_is_pruned(tmp_path):
    space = {"optimizer.lr": config.Range(low=0.1, high=1.0)}
    trials = Trials(tmp_path, space, {"optimizer.lr": 0.5}, (1,), 10)
    for _ in range(6):
        trials.add(Trial(trials.ask(), COMPLETE, (0.8, 0.8)), write=True)
    assert trials.is_worse([0.5]) and not trials.is_worse([0.9])
    assert trials.done[0].values == {"optimizer.lr": 0.5}
    again = Trials(tmp_path, space, {}, (1,), 10).read()
    assert again.done == trials.done and again.ask() == trials.ask()


def test_configured_values_outside_the_space_are_tried_first_all_the_same(blobs, tmp_path):
    asked = tuned(blobs, tuning={"space": {"optimizer.lr": {"low": 0.1, "high": 1.0}}})
    run = train(asked, base=blobs.parent, out=tmp_path / "run", search_only=True)
    for each in chosen_in(run):
        folder = run / f"tuning/{each.model}/repeat-0/fold-{each.fold}"
        first, *others = json.loads((folder / "trials.json").read_text())["trials"]
        assert first["values"] == {"optimizer.lr": 1e-3}
        assert all(0.1 <= trial["values"]["optimizer.lr"] <= 1 for trial in others)
        assert each.configured_score == pytest.approx(np.mean(first["scores"]))


def test_a_log_loss_is_told_as_one(blobs, tmp_path, capsys):
    asked = tuned(blobs, tuning={"metric": "log_loss", "trials": 1})
    run = train(asked, base=blobs.parent, out=tmp_path / "run")
    chosen = chosen_in(run)[0]
    assert chosen.score < 0 and f"(log loss inside {-chosen.score:.3f}" in capsys.readouterr().out
    page = write_report(run).read_text()
    assert "inner log loss as configured" in page and f"<td>{-chosen.score:.3f}</td>" in page


def test_a_choice_that_was_lost_is_made_again(run, blobs, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    lost = tmp_path / "run/tuning/capsnet/repeat-0/fold-1/chosen.json"
    before = lost.read_text()
    shutil.rmtree(lost.parent)
    (lost.parent / "work" / "checkpoints").mkdir(parents=True)
    assert not is_finished(tmp_path / "run", tuned(blobs))
    train(tuned(blobs), base=blobs.parent, out=tmp_path / "run", resume=True)
    assert lost.read_text() == before and not (lost.parent / "work").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trials.json", '{"trials": [{"values": {}, "state": "weird"}]}'),
        ("trials.json", '{"trials": ['),
        ("chosen.json", '{"values": [1]}'),
        ("chosen.json", "{"),
    ],
)
def test_damaged_files_of_a_search_say_what_to_do(run, blobs, tmp_path, name, text):
    shutil.copytree(run, tmp_path / "run")
    folder = tmp_path / "run/tuning/capsnet/repeat-0/fold-1"
    if name == "trials.json":
        (folder / "chosen.json").unlink()
    shutil.rmtree(tmp_path / "run/repeat-0/seed-0/fold-1")
    (folder / name).write_text(text)
    with pytest.raises(CheckpointError, match=f"{name}: expected .*; delete .*go on with"):
        train(tuned(blobs), base=blobs.parent, out=tmp_path / "run", resume=True)


def test_the_estimator_finds_a_plain_optimum(tmp_path):
    space = {"optimizer.lr": config.Range(low=1e-5, high=1.0, log=True)}
    trials = Trials(tmp_path, space, {}, (3,), 30)
    while len(trials.done) < 30:
        values = trials.ask()
        distance = abs(np.log10(values["optimizer.lr"]) + 2)
        trials.add(Trial(values, COMPLETE, (-distance,)), write=False)
    assert 0.005 < trials.done[trials.best].values["optimizer.lr"] < 0.02


def test_a_damaged_file_of_trials_says_what_to_do(tmp_path):
    (tmp_path / "trials.json").write_text('{"trials": [{"what": 1}]}')
    with pytest.raises(CheckpointError, match="delete the file and go on with the run"):
        Trials(tmp_path, {}, {}, (), 1).read()


def test_without_a_space_learning_rate_and_decay_are_searched_around_their_values(blobs):
    found = usual_space(tiny(str(blobs), optimizer={"name": "adamw", "lr": 0.01}))
    assert found["optimizer.lr"] == config.Range(low=0.002, high=0.05, log=True)
    assert found["optimizer.weight_decay"].low == pytest.approx(0.002)
    plain = usual_space(tiny(str(blobs), optimizer="adam"))
    assert set(plain) == {"optimizer.lr"} and plain["optimizer.lr"].high == pytest.approx(5e-3)


def test_a_loss_that_an_ordinary_head_does_not_have_is_not_searched_for_it(blobs):
    experiment = tuned(blobs, tuning={"space": {"loss.reconstruction_weight": [0.0, 0.1]}})
    assert mattering(experiment, "capsnet") and not mattering(experiment, "ordinary_head")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"data.cohort": ["a", "b"]}, "expected keys below network, .* got 'data.cohort'"),
        ({"training.workers": [0, 1]}, "that change what is learnt, .* got 'training.workers'"),
        ({"optimizer.lrr": [1, 2]}, "tuning.space.optimizer.lrr: 1 does not do: .*'lr'"),
        ({"network.routing": ["dynamic", "?"]}, r"network.routing: '\?' does not do: "),
        ({"training.epochs": [5, 0]}, "tuning.space.training.epochs: 0 does not do: "),
        ({"network.primary_kernel": [3, 99]}, "network.primary_kernel: 99 does not do: "),
        ({"optimizer.lr": [-0.1, 0.1]}, "tuning.space.optimizer.lr: -0.1 does not do: .*learning"),
        ({"loss": ["capsule", "margin"]}, "such as optimizer.lr or loss.name, got 'loss'"),
        ({"network.channels.x": [1, 2]}, "network.channels.x: 1 does not do: .* a part of a val"),
    ],
)
def test_a_space_with_a_value_that_makes_no_experiment_is_refused(blobs, space, message):
    with pytest.raises(ConfigError, match=message):
        check_space(tuned(blobs, tuning={"space": space}), blobs.parent)


def test_too_few_patients_for_the_inner_folds_are_said_before_an_image_is_read(tmp_path):
    table = write_blobs(tmp_path, patients=8)
    (tmp_path / "blob0.npy").write_text("no image")
    with pytest.raises(DataError, match="tuning.folds: expected 3 or more patients of class"):
        train(tuned(table), base=tmp_path, out=tmp_path / "run")


def test_one_inner_fold_needs_an_inner_part(blobs):
    asked = tuned(blobs, tuning={"folds": 1}, split={"inner": 0.0})
    with pytest.raises(ConfigError, match="tuning.folds: expected 2 or more where folds have no"):
        read_data(asked, blobs.parent, show=False)


def test_a_search_of_which_every_trial_fails_ends_with_the_first_reason(blobs, tmp_path):
    rates = {"space": {"optimizer.lr": [1e30, 1e31]}}
    asked = tuned(blobs, tuning=rates, optimizer={"name": "sgd", "lr": 1e29})
    with pytest.raises(TrainingError, match="got 3 that failed, the first with: .*finite"):
        train(asked, base=blobs.parent, out=tmp_path / "run")


def test_folds_of_different_networks_are_inspected_one_by_one(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    for fold, routing in enumerate(["dynamic", "self_attention"]):
        path = tmp_path / f"run/tuning/capsnet/repeat-0/fold-{fold}/chosen.json"
        chosen = json.loads(path.read_text())
        if chosen["values"]["network.routing"] != routing:
            chosen["values"]["network.routing"] = routing
            path.write_text(json.dumps(chosen))
            other = fold
    with pytest.raises(ConfigError, match="expected folds of one network, .* with --fold"):
        inspect_run(tmp_path / "run")
    assert inspect_run(tmp_path / "run", fold=1 - other)["cases"] == 12


def test_the_report_shows_what_was_chosen_and_how(run):
    text = write_report(run).read_text()
    assert "Hyper-parameters chosen inside the training parts" in text
    assert "were chosen from 3 trials (tree-structured Parzen estimator, Optuna)" in text
    assert str(chosen_in(run)[0].values["optimizer.lr"]) in text
    assert "in each fold a search replaced optimizer.lr, network.routing." in text
    assert "in each fold a search replaced augmentation.shift." in text
