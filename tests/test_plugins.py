"""Third-party packages: found by their entry point, and named when they cannot be loaded."""

import sys
from pathlib import Path

import pytest

from capsmed import plugins
from capsmed.errors import CapsmedError


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a package with one plugin on the path; returns a function (code, target)."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(code: str, target: str) -> None:
        (tmp_path / "third_party.py").write_text(code, encoding="utf-8")
        info = tmp_path / "third_party-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: third-party\nVersion: 1.0\n", encoding="utf-8")
        entry = f"[{plugins.GROUP}]\nmine = {target}\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")

    yield put
    sys.modules.pop("third_party", None)


def test_a_module_is_imported(install) -> None:
    install("REGISTERED = True\n", "third_party")
    assert plugins.load() == ["mine"]
    assert sys.modules["third_party"].REGISTERED


def test_a_function_is_called(install) -> None:
    install("CALLS = []\ndef register():\n    CALLS.append(1)\n", "third_party:register")
    plugins.load()
    assert sys.modules["third_party"].CALLS == [1]


def test_a_plugin_that_fails_is_named_with_its_package(install) -> None:
    install("1 / 0\n", "third_party")
    with pytest.raises(CapsmedError, match=r"mine \(third-party\): ZeroDivisionError"):
        plugins.load()
