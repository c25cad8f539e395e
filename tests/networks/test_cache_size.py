import pytest
import torch

from capsmed.networks.layers import cache_size

CPU = torch.device("cpu")


@pytest.fixture
def reported(monkeypatch):
    """Let the machine report a cache of so many bytes."""

    def report(size):
        monkeypatch.setattr(cache_size, "_last_cache_bytes", lambda: size)
        cache_size.temporary_bytes.cache_clear()

    yield report
    monkeypatch.undo()
    cache_size.temporary_bytes.cache_clear()


@pytest.mark.parametrize(
    ("cache", "expected"), [(32 << 20, 4 << 20), (512 << 20, 16 << 20), (1 << 20, 1 << 20)]
)
def test_a_temporary_array_takes_an_eighth_of_the_cache_within_limits(reported, cache, expected):
    reported(cache)
    assert cache_size.temporary_bytes(CPU) == expected


def test_an_unknown_cache_counts_as_an_ordinary_one(reported):
    reported(0)
    assert cache_size.temporary_bytes(CPU) == 4 << 20


def test_other_devices_get_large_arrays():
    assert cache_size.temporary_bytes(torch.device("meta")) == 64 << 20


def test_linux_files_are_read_whatever_caches_there_are(tmp_path):
    for number, text in enumerate(["48K\n", "1024K\n", "unknown\n"]):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(text)
    assert cache_size._sysfs(tmp_path) == 1 << 20
    assert cache_size._sysfs(tmp_path / "missing") == 0


def test_a_name_that_the_machine_does_not_know_gives_zero():
    assert cache_size._sysconf("SC_NO_SUCH_CACHE") == 0
    assert cache_size._sysctl("hw.no_such_cache") == 0
