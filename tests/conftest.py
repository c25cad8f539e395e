"""What every test has: fixed seeds, no plotting window, and the real data where they are."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CAPSMED_CACHE_GB", "0")  # patches of tests stay out of the user's cache
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes that share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """A test's result depends neither on the tests before it nor on the time of day."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:  # the quick tests do without
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: CAPSMED_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("CAPSMED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"real data are not at {folder}; set CAPSMED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def capsmed_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout's wheel."""
    from tests.packages import wheel_of

    return wheel_of(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put packages with a plugin each on the path; returns a function (code, entry, package).

    Afterwards nothing is left of what they have registered.
    """
    from capsmed import third_party
    from capsmed.data.whole_sets import DATA_SOURCES
    from capsmed.networks import NETWORKS
    from capsmed.plugins import GROUP, loading

    monkeypatch.syspath_prepend(tmp_path)
    before = [(registry, set(registry)) for registry in (NETWORKS, DATA_SOURCES, sys.modules)]

    def put(code: str, entry: str = "mine = third_party", package: str = "third-party") -> None:
        (tmp_path / f"{package.replace('-', '_')}.py").write_text(code, encoding="utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        metadata = f"Name: {package}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        points = f"[{GROUP}]\n{entry}\n"
        (info / "entry_points.txt").write_text(points, encoding="utf-8")

    yield put
    for registry, names in before:
        for name in set(registry) - names:
            if registry is not sys.modules or name in ("third_party", "another"):
                del registry[name]
    loading._registered.clear()
    third_party.note_failures([])
