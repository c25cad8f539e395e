"""Each shipped pipeline runs in its fast form."""

import pandas as pd
import pytest

from capsmed.cli.parts import run
from capsmed.errors import ConfigError, DataError
from capsmed.networks import Routing


@pytest.mark.slow
def test_the_lung_study_sets_every_variant_beside_the_baselines(tmp_path):
    run.callback(pipeline="lung_study", fast=True, out=tmp_path)
    table = pd.read_csv(tmp_path / "study.csv").set_index("model")
    variants = ["routing_3", "routing_1", "no_reconstruction"]
    beside = ["size_only", "radiomics", "ordinary_head", "average_head"]
    assert list(table.index) == [*variants, *beside]
    assert table["auc_value"].between(0, 1).all()
    assert (tmp_path / "routing_1" / "report.html").exists()


@pytest.mark.slow
def test_the_routing_study_sets_every_routing_beside_dynamic(tmp_path):
    run.callback(pipeline="routing_study", fast=True, out=tmp_path)
    table = pd.read_csv(tmp_path / "study.csv").set_index("routing")
    assert set(table.index) == {name.lower() for name in Routing.names}
    assert table.loc["dynamic", ["time", "memory"]].tolist() == [1, 1]
    assert table["value"].between(0, 1).all() and (table["memory"] > 0).all()
    assert "| `uniform` |" in (tmp_path / "study.md").read_text()


@pytest.mark.slow
def test_the_small_net_study_sets_it_beside_larger_networks(tmp_path, monkeypatch):
    monkeypatch.delenv("CAPSMED_DATA", raising=False)
    run.callback(pipeline="small_net_study", fast=True, out=tmp_path)
    table = pd.read_csv(tmp_path / "difference.csv").set_index("network")
    assert table.loc["small", "parameters"] * 4 < table.loc["larger", "parameters"]
    assert table.loc["small", ["difference_low", "difference_high"]].between(-1, 1).all()
    contest = pd.read_csv(tmp_path / "contest.csv")
    assert (contest["epochs"] >= 1).all() and (contest["step_ms"] > 0).all()
    with pytest.raises(ConfigError, match="expected the configuration this run was started with"):
        run.callback(pipeline="small_net_study", fast=False, out=tmp_path)


@pytest.mark.slow
def test_real_cohorts_set_every_baseline_beside_the_network(tmp_path, monkeypatch, real_data):
    monkeypatch.setenv("CAPSMED_DATA", str(real_data))
    run.callback(pipeline="real_cohorts", fast=True, out=tmp_path)
    table = pd.read_csv(tmp_path / "cohorts.csv")
    beside = ["size only", "radiomics", "ordinary head", "average head"]
    for name, models in (("lidc_3d", beside), ("luna16_2d", beside[1:])):
        rows = table[table["set"] == name]
        assert rows["model"].tolist() == ["nodule_capsnet", *models]
        assert rows["p"][1:].between(0, 1).all() and rows["auc"].between(0, 1).all()
    assert (tmp_path / "lidc_solid_2d_compared" / "comparison.html").exists()


def test_real_cohorts_say_where_their_data_should_be(tmp_path, monkeypatch):
    monkeypatch.delenv("CAPSMED_DATA", raising=False)
    with pytest.raises(DataError, match="CAPSMED_DATA: expected the folder that holds lidc_3d"):
        run.callback(pipeline="real_cohorts", fast=True, out=tmp_path)


@pytest.mark.slow
def test_the_learning_curve_sets_capsules_beside_the_best_of_the_others(
    tmp_path, monkeypatch, real_data
):
    monkeypatch.setenv("CAPSMED_DATA", str(real_data))
    run.callback(pipeline="learning_curve", fast=True, out=tmp_path)
    table = pd.read_csv(tmp_path / "curve.csv")
    assert set(table["network"]) == {
        "capsules", "capsules, no decoder", "ordinary head", "average head",
        "CNN, as many parameters", "capsules, searched", "CNN, searched",
    }  # fmt: skip
    assert set(table["cases"]) == {50, 100} and table["auc"].between(0, 1).all()
    gaps = pd.read_csv(tmp_path / "difference.csv")
    others = table[~table["network"].str.contains("capsules|searched")]
    better = others.groupby("cases")["auc"].max()
    own = table[table["network"] == "capsules"].set_index("cases")["auc"]
    told = gaps[gaps["network"] == "capsules"].set_index("cases")["difference"]
    assert told.to_numpy() == pytest.approx((own - better).to_numpy())
    assert "training cases" in (tmp_path / "curve.svg").read_text()
    parts = pd.read_csv(tmp_path / "50-0-decoded" / "splits.csv")["part"].value_counts()
    assert parts["train"] in range(45, 56) and parts["unused"] > parts["test"]
    tested = pd.read_csv(tmp_path / "test_curve.csv")
    assert set(tested["network"]) == {"capsules, searched", "CNN, searched"}
    network = tmp_path / "50-1-found"
    judged, splits = pd.read_csv(f"{network}-test.csv"), pd.read_csv(network / "splits.csv")
    assert set(splits.set_index("case_id")["part"][judged["case_id"]]) == {"unused"}
    assert judged["case_id"].str.startswith("test-").all() and judged["case_id"].is_unique
