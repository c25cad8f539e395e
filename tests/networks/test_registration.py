import importlib

import pytest
from monai.networks.layers.factories import Act
from torch import nn

from capsmed.networks import NETWORKS, Routing, Squash, register, register_network
from capsmed.networks.registry import add_class


class Other(nn.Module):
    """Something else that wants a name."""


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
