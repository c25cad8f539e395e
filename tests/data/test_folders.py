"""The cache holds whole cohorts or nothing."""

import os
import time
from pathlib import Path

import pytest

from capsmed.data import demo, folders
from capsmed.errors import DataError


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path))
    assert folders.cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "base/capsmed"),
        ("linux", None, "home/.cache/capsmed"),
        ("darwin", None, "home/Library/Caches/capsmed"),
        ("win32", "LOCALAPPDATA", "base/capsmed"),
        ("win32", None, "home/AppData/Local/capsmed"),
    ],
)
def test_each_platform_has_its_own_place(
    platform: str,
    variable: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CAPSMED_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "base"))
    assert folders.cache_folder() == tmp_path / expected


def test_an_interrupted_rendering_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"power cut after {done} of {total}")

    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match="power cut after 1 of 240"):
        demo.table(progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_is_used_as_it_is(tmp_path: Path) -> None:
    folder = folders.whole(tmp_path / "a", lambda out: (out / "f").write_text("first"))
    assert folders.whole(folder, lambda out: (out / "f").write_text("second")) == folder
    assert (folder / "f").read_text() == "first"


def test_the_faster_of_two_processes_wins(tmp_path: Path) -> None:
    def slow(out: Path) -> None:
        (out / "f").write_text("slow")
        folders.whole(tmp_path / "a", lambda out: (out / "f").write_text("fast"))

    assert (folders.whole(tmp_path / "a", slow) / "f").read_text() == "fast"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_swept_when_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".a.old", tmp_path / ".a.young"
    old.mkdir()
    young.mkdir()
    past = time.time() - folders.STALE_SECONDS - 60
    os.utime(old, (past, past))
    folders.whole(tmp_path / "a", lambda out: None)
    assert not old.exists() and young.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"a: cannot be written .*free some space"):
        folders.whole(tmp_path / "file" / "a", lambda out: None)


def test_of_two_that_make_one_folder_at_once_the_slower_is_told(tmp_path: Path) -> None:
    def slow(out: Path) -> None:
        (out / "f").write_text("slow")
        folders.whole(tmp_path / "a", lambda other: (other / "f").write_text("fast"), shared=False)

    with pytest.raises(DataError, match="another process has made meanwhile"):
        folders.whole(tmp_path / "a", slow, shared=False)
    assert (tmp_path / "a" / "f").read_text() == "fast"
