"""The house's rules: who may import whom, nothing heavy too early, rooms with names."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from capsmed import shipped

PACKAGE = Path(__file__).resolve().parents[1] / "capsmed"
FLOORS = [
    {"", "errors", "atomic", "seeds", "shipped", "third_party", "config", "metrics"},
    {"networks", "losses", "transforms"},
    {"data"},
    {"handlers"},
    {"engines"},
    {"report", "export"},
    {"plugins", "cli"},
    {"__main__"},
]
LIGHT_ROOMS = {
    "metrics": {"numpy", "scipy", "pandas", "sklearn"},
    "networks": {"torch", "monai", "numpy"},
    "losses": {"torch", "monai"},
    "config": {"pydantic", "yaml"},
}
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(module: str, *, only_at_import: bool = False) -> set[str]:
    """The modules that ``module`` names in its imports; with the flag, not those in functions."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = tree.body if only_at_import else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & set(MODULES)) or {node.module}
    return names


def room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_from_a_floor_above(module: str) -> None:
    own = {name for name in imported(module) if name.split(".")[0] == "capsmed"}
    assert [name for name in own if floor(name) > floor(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_light_rooms_need_few_libraries(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(module)}
    foreign = roots - set(sys.stdlib_module_names) - {"capsmed", "__future__"}
    assert foreign <= LIGHT_ROOMS.get(room(module), foreign)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imported(name, only_at_import=True) & set(MODULES) for name in MODULES}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("module", ["capsmed", "capsmed.config", "capsmed.cli", "capsmed.errors"])
def test_importing_the_entrance_loads_no_heavy_library(module: str) -> None:
    heavy = "{'torch', 'monai', 'ignite', 'pandas', 'numpy', 'scipy', 'matplotlib'}"
    code = f"import sys, {module}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom capsmed.cli import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        "sys.exit(', '.join({'torch', 'monai', 'pandas', 'pydantic'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


def test_every_room_has_a_name() -> None:
    nameless = {"utils", "helpers", "common", "misc"}
    assert [name for name in MODULES if nameless & set(name.split("."))] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_one_idea_long(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 350


def test_shipped_folders_are_found_in_the_checkout() -> None:
    assert shipped.folder("configs") == PACKAGE.parent / "configs"
    assert {"lung", "digits"} <= set(shipped.names("configs"))
