"""Every damaged or odd input gets its documented answer: no wrong volume, no hang, no bomb."""

import re
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from capsmed import config
from capsmed.data import splits
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.readers import open_volume
from capsmed.errors import CapsmedError, CheckFailed
from tests.data import corpus_compressed, corpus_dicom, corpus_files, corpus_masks, corpus_tables
from tests.data.corpus import CORPUS, HU, TRUE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad-input.md"
# importing them fills the corpus
PARTS = (corpus_dicom, corpus_compressed, corpus_files, corpus_tables, corpus_masks)
PATCH = config.Patch(size=(5, 5, 3), spacing=1.0)
MOST_SECONDS, MOST_MB = 20, 64
WAITING = 10  # times as long may an answer take where other programs have the processor


@pytest.fixture(autouse=True)
def bounded():
    """An entry may take neither long nor more memory than a small file is worth."""

    def stop(*_):
        raise TimeoutError(f"no answer within {MOST_SECONDS} s")

    for kind in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(kind, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # of computing, on however busy a machine
    signal.alarm(WAITING * MOST_SECONDS)
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]  # since answer() began
    tracemalloc.stop()
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    assert peak < MOST_MB * 2**20


def answer(entry, path: Path):
    """What capsmed makes of it: the whole volume, or the cases of a table as far as the folds."""
    tracemalloc.reset_peak()
    if path.suffix not in (".csv", ".xlsx", ".npz"):
        volume = open_volume(path)
        return volume, volume.read(None)
    cohort = Cohort.read(config.Data(cohort=path.name, **entry.settings), path.parent)
    patches = PatchSet.load(cohort, cohort.included, PATCH, config.Augmentation())
    splits.assign(cohort, config.Split(folds=2, inner=0))
    return None, patches.images


def lies_truly(volume, values, affine) -> bool:
    """Whether every voxel of the scan is where it was, whatever the order of the axes."""
    places = np.argwhere(np.ones(HU.shape, bool))
    world = places @ affine[:3, :3].T + affine[:3, 3]
    index = (world - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    near = np.rint(index).astype(int)
    same_size = values.size == HU.size and np.abs(index - near).max() < 1e-3
    return same_size and np.array_equal(values[tuple(near.T)], HU[tuple(places.T)])


@pytest.mark.parametrize("name", [n for n, e in CORPUS.items() if e.answer == TRUE])
def test_an_odd_input_that_can_be_read_rightly_is(name, tmp_path, monkeypatch):
    entry = CORPUS[name]
    monkeypatch.chdir(tmp_path)
    volume, values = answer(entry, entry.build(tmp_path))
    assert np.isfinite(np.asarray(values)).all()
    if volume is not None:
        assert lies_truly(volume, values, entry.affine)
        found = " ".join(finding.detail for finding in volume.findings)
        assert re.search(entry.says, found) if entry.says else not found


@pytest.mark.parametrize("name", [n for n, e in CORPUS.items() if e.answer != TRUE])
def test_a_bad_input_is_refused_for_its_documented_reason(name, tmp_path, capfd):
    entry = CORPUS[name]
    path = entry.build(tmp_path)
    with pytest.raises(CapsmedError, match=entry.says or "mend it") as failed:
        answer(entry, path)
    check = failed.value.check if isinstance(failed.value, CheckFailed) else "refused"
    assert check == entry.answer
    assert len(str(failed.value).splitlines()) <= (3 if path.suffix == ".csv" else 1)
    assert capfd.readouterr() == ("", "")


def test_the_page_and_the_corpus_name_the_same_inputs_and_answers():
    cells = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    written = {name.strip(): said.strip() for name, said in cells[1:]}
    assert written == {entry.name: shown(entry.answer) for entry in CORPUS.values()}
    assert len(CORPUS) >= 45


def shown(answer: str) -> str:
    return answer if answer in (TRUE, "refused") else f"`{answer}`"
