"""The examples in docstrings and in the reference page give what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import capsmed.losses
import capsmed.networks
from capsmed.networks import Routing

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"reference/networks.md": 10, "how-to/fast-inference.md": 10}
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


@pytest.mark.parametrize("page", PAGES)
def test_examples_in_a_page_hold(page):
    try:
        failed, tried = doctest.testfile(str(DOCS / page), module_relative=False)
    finally:
        Routing.components.pop("HALF", None)
    assert failed == 0 and tried > PAGES[page]
