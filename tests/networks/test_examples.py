"""The examples in docstrings and in the reference page give what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import capsmed.losses
import capsmed.networks
from capsmed.networks import Routing

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "networks.md"
MODULES = [
    module.name
    for package in (capsmed.networks, capsmed.losses)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_examples_in_the_reference_page_hold():
    try:
        failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    finally:
        Routing.components.pop("HALF", None)
    assert failed == 0 and tried > 10
