"""Names and options of components: refused all at once, with the nearest, before any data."""

import sys
from pathlib import Path

import pytest

from capsmed.config import Component, Data, Experiment
from capsmed.engines.components import check_components, resolve
from capsmed.errors import ConfigError

MODULE = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, spatial_dims, in_channels, num_classes, input_size, *, width: int = 3):
        super().__init__()

not_a_network = 3
"""


def experiment(**components: object) -> Experiment:
    return Experiment(name="x", data=Data(cohort="demo"), **components)


def on(backbone: object, **head: object) -> dict:
    """A capsule head with options ``head`` on ``backbone``."""
    return {"network": {"name": "capsule_classifier", "backbone": backbone, "head": head}}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package outside capsmed with a network in it."""
    (tmp_path / "foreign_nets.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "foreign_nets"
    sys.modules.pop("foreign_nets", None)


def test_the_defaults_are_right() -> None:
    check_components(experiment())


@pytest.mark.parametrize(
    "components",
    [
        {"network": {"name": "capsnet", "routing": ["dynamic", {"iterations": 1}]}},
        {"network": {"name": "capsnet", "decoder": None, "channels": [8, 8]}},
        {"optimizer": {"name": "adam", "lr": 1, "betas": [0.9, 0.99]}},
        {"schedule": {"name": "exponential", "gamma": 0.9, "steps": 10}},
        {"loss": {"name": "capsule", "weighting": "released"}},
        {"network": {"name": "deep_caps", "cell_routing": ["em", {"decay": 0}]}},
        {"network": {"name": "backbone_classifier", "backbone": ["vit", {"patch_size": 4}]}},
        {"network": {"name": "capsnet", "routing": {"name": "em", "iterations": 2}}},
        {"network": {"name": "deep_caps", "cell_routing": {"name": "em", "decay": 0}}},
        on("resnet18", routing={"name": "em", "iterations": 2}, output="lengths"),
        on("resnet18", routing=["DYNAMIC", {"iterations": 1}], output="lengths"),
    ],
)
def test_right_options_pass(components: dict) -> None:
    check_components(experiment(**components))


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ({"network": "capnet"}, r"network: expected one of .*, got 'capnet'.* mean 'capsnet'"),
        ({"network": {"name": "capsnet", "clas_dim": 4}}, r"network: .* mean 'class_dim'"),
        ({"network": {"name": "capsnet", "in_channels": 4}}, r"in_channels: .*capsmed sets it"),
        (
            {"network": {"name": "capsnet", "class_dim": "big"}},
            r"class_dim: expected a whole number, got 'b",
        ),
        (
            {"network": {"name": "capsnet", "class_dim": "8"}},
            r"class_dim: expected a whole number, got '8'",
        ),
        ({"network": {"name": "capsnet", "routing": "dynamc"}}, r"routing: .* mean 'dynamic'"),
        (
            {"network": {"name": "capsnet", "routing": ["dynamic", {"iteration": 3}]}},
            r"network\.routing: .* mean 'iterations'",
        ),
        ({"network": {"name": "capsnet", "routing": [1, 2, 3]}}, r"a name or \[name, options\]"),
        ({"network": "capsule_classifier"}, r"network\.backbone: expected a value, got none"),
        (on("densnet121"), r"network\.backbone: .*'densnet121'; did you mean 'densenet121'"),
        (on(["resnet18", {"max_pol": False}]), r"network\.backbone: .* mean 'max_pool'"),
        (on(["vit", {"input_size": [8, 8]}]), r"network\.backbone\.input_size: .*leave it out"),
        (on({"resnet18": {}}), r"network\.backbone: expected a name or \[name, options\]"),
        (on("vit", clas_dim=8), r"network\.head: expected one of bias, .* mean 'class_dim'"),
        (on("vit", num_classes=0), r"network\.head\.num_classes: .*capsmed sets it"),
        (on("vit", output="length"), r"network\.head\.output: expected .*, got 'length'"),
        (on("vit", routing="dynamc"), r"network\.head\.routing: .* mean 'dynamic'"),
        (on("vit", routing=["uniform", {"iterations": 3}]), r"head\.routing: .*got 'iterations'"),
        (
            on("vit", primary_kernel=3.0),
            r"head\.primary_kernel: expected a whole number .*, got 3\.0",
        ),
        (
            {"network": {"name": "capsnet", "routing": ["dynamic", {"iterations": 3.0}]}},
            r"network\.routing\.iterations: expected a whole number, got 3\.0",
        ),
        (
            {"network": {"name": "capsnet", "primary_capsules": 8.0}},
            r"network\.primary_capsules: expected a whole number, got 8\.0",
        ),
        (
            {"network": {"name": "capsnet", "channels": [8, 8.0]}},
            r"network\.channels: expected .*a list of whole numbers, got \[8, 8\.0\]",
        ),
        (
            {"network": {"name": "deep_caps", "cell_routing": "dynamc"}},
            r"network\.cell_routing: .* mean 'dynamic'",
        ),
        (
            {"network": {"name": "capsnet", "routing": ["em", {"amounts": "mean"}]}},
            r"network\.routing\.amounts: expected 'relative' or 'sum', got 'mean'",
        ),
        (
            {"loss": {"name": "margin", "class_weights": "balance"}},
            r"expected a list of numbers, 'balanced' or null, got 'balance'; did .* 'balanced'",
        ),
        (
            {"network": {"name": "capsnet", "routing": {"name": "em", "iteration": 3}}},
            r"network\.routing: .* mean 'iterations'",
        ),
        (
            {"network": {"name": "capsnet", "routing": 3}},
            r"^network\.routing: expected a name or \[name, options\], got 3$",
        ),
        ({"optimizer": {"name": "adam", "params": []}}, r"optimizer\.params: .*leave it out"),
        ({"optimizer": "adamm"}, r"optimizer: .* mean 'adam'"),
        ({"schedule": {"name": "cosine", "gamma": 1}}, r"schedule: expected one of end, got 'gam"),
        ({"loss": {"name": "capsule", "weighting": "papr"}}, r"weighting: .*got 'papr'"),
    ],
)
def test_wrong_names_and_options_are_refused(components: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_components(experiment(**components))


def test_all_mistakes_are_listed_at_once() -> None:
    wrong = experiment(network="capnet", optimizer={"name": "sgd", "momentun": 0.9}, loss="margn")
    with pytest.raises(ConfigError, match="3 mistakes\n  loss: .*\n  network: .*\n  optimizer: "):
        check_components(wrong)


def test_a_dotted_name_needs_the_users_word(foreign: str) -> None:
    mine = experiment(network=f"{foreign}.Mine")
    with pytest.raises(ConfigError, match="--allow-import foreign_nets if you trust"):
        check_components(mine)
    assert foreign not in sys.modules


def test_an_allowed_network_is_found_and_its_options_are_checked(foreign: str) -> None:
    check_components(experiment(network={"name": f"{foreign}.Mine", "width": 2}), [foreign])
    assert resolve("network", f"{foreign}.Mine").__name__ == "Mine"
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        check_components(experiment(network={"name": f"{foreign}.Mine", "widht": 2}), [foreign])


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "network",
            "not_a_network",
            "expected a subclass of Module, got 'foreign_nets.not_a_n",
        ),
        ("network", "Absent", "expected an importable class, got 'foreign_nets.Absent'"),
        ("optimizer", "Mine", "expected a subclass of Optimizer, got 'foreign_nets.Mine'"),
        ("schedule", "Mine", "expected a function, got 'foreign_nets.Mine'; name another"),
    ],
)
def test_an_allowed_name_of_another_kind_is_refused(
    foreign: str, kind: str, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_components(experiment(**{kind: Component(name=f"{foreign}.{name}")}), [foreign])


def test_resolving_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'one_cycle'"):
        resolve("schedule", "onecycle")
