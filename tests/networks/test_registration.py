import importlib

import pytest
from monai.networks.layers.factories import Act
from torch import nn

from capsmed.networks import (
    NETWORKS,
    Routing,
    Squash,
    register,
    register_backbone,
    register_network,
)
from capsmed.networks.registry import add_class, build_routing


class Other(nn.Module):
    """Something else that wants a name."""

    def couplings(self, votes):
        """None: uniform."""

    def settle(self, votes, couplings):
        return votes.mix(couplings)


def test_a_taken_routing_name_is_refused():
    with pytest.raises(ValueError, match="'dynamic', which is capsmed.*DynamicRouting; register"):
        register("dynamic", Other)
    assert Routing["dynamic"].__name__ == "DynamicRouting"


def test_a_taken_activation_of_monai_is_refused():
    with pytest.raises(ValueError, match="expected a free name, got 'relu'"):
        add_class(Act, "relu", Squash)


def test_a_taken_network_name_is_refused():
    with pytest.raises(ValueError, match="'capsnet', which is capsmed.*CapsNet; register .*Other"):
        register_network("capsnet", Other)


@pytest.mark.parametrize("cls", [nn.Linear, Other(), "dynamic"])
def test_what_is_no_routing_is_refused(cls):
    with pytest.raises(
        ValueError, match=r"expected a class derived from .*BaseRouting, got .*'foo"
    ):
        register("foo", cls)
    assert "FOO" not in Routing.names


@pytest.mark.parametrize("add", [register, register_backbone, register_network])
@pytest.mark.parametrize("name", ["my-own", "", "a.b", 3])
def test_a_name_that_is_no_identifier_is_refused(add, name):
    with pytest.raises(ValueError, match=f"s: expected an identifier, got {name!r}; rename it"):
        add(name, Other)


def test_a_routing_may_be_one_mapping():
    built = build_routing({"name": "EM", "iterations": 2}, (3, 2, 4, 4))
    assert (type(built), built.iterations) == (Routing["em"], 2)
    with pytest.raises(ValueError, match="expected a key name, got iterations"):
        build_routing({"iterations": 2}, (3, 2, 4, 4))


def test_registering_the_same_class_again_is_harmless():
    register("Dynamic", Routing["dynamic"])
    register_network("capsnet", NETWORKS["capsnet"])


@pytest.mark.parametrize("name", ["layers.squash", "routing", "nets"])
def test_importing_a_module_again_is_harmless(name):
    module = importlib.import_module(f"capsmed.networks.{name}")
    before, factories = dict(vars(module)), (dict(NETWORKS), list(Routing.names), Act["squash"])
    try:
        importlib.reload(module)
        assert factories == (dict(NETWORKS), list(Routing.names), Act["squash"])
    finally:
        vars(module).update(before)


def test_a_new_routing_is_found_in_upper_and_lower_case():
    try:
        register("other", Other)
        assert Routing["other"] is Routing["OTHER"] is Other
    finally:
        Routing.components.pop("OTHER", None)
