"""Cutting many patches: what is held in memory, and what may go into the cache."""

import os
import threading
import tracemalloc

import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.fitting import OPENING, fitting_mask
from capsmed.data.reading import HELD, cut_all
from capsmed.errors import DataError

PATCH = config.Patch(size=(3, 3, 1), spacing=None, window=(0.0, 105.0))


def cut_into(cohort, patch=PATCH, progress=lambda done, total: None):
    rows = cohort.included.to_dict("records")
    into = np.full((len(rows), 1, *patch.size), -1, np.float32)
    return cut_all(cohort, rows, patch, (0, 0, 0), into, progress), into


@pytest.fixture
def many(table, read) -> Cohort:
    """200 points of one image."""
    rows = [f"{i},{i},a.nii.gz,{'bm'[i % 2]},{i % 7},{i // 40},{i / 100}" for i in range(200)]
    return read(table("\n".join(["case_id,patient_id,image,label,x,y,z", *rows]), frame="RAS"))


def test_cases_that_fail_keep_no_voxels(table, read, nifti):
    rows = "".join(f"{i},{i},{i}.nii.gz,{'bm'[i % 2]}\n" for i in range(20))
    cohort = read(table("case_id,patient_id,image,label\n" + rows))
    for i in range(20):
        nifti(f"{i}.nii.gz", np.full((40, 40, 40), np.nan))  # 256 kB each
    patch = PATCH.model_copy(update={"size": (40, 40, 40)})
    cut_into(cohort)  # what is imported once does not count
    tracemalloc.start()
    answers = cut_into(cohort, patch)[0]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert {answer.reason for answer in answers} == {"NaN or infinite voxels"}
    assert held < 1e6


def test_new_patches_of_a_long_scan_are_kept_as_it_goes_on(cache, many):
    seen = {}
    cut_into(many, progress=lambda done, total: seen.update({done: len(list(cache.rglob("*.p*")))}))
    assert [seen[HELD - 1], seen[HELD], seen[2 * HELD], seen[199]] == [0, 64, 128, 192]
    assert len(list(cache.rglob("*.patch"))) == 200


def test_what_was_kept_stays_and_what_comes_after_a_change_is_not(cache, many, tmp_path):
    def touch(done: int, total: int) -> None:
        if done == HELD + 1:
            os.utime(tmp_path / "a.nii.gz", ns=(0, 0))

    cut_into(many, progress=touch)
    assert len(list(cache.rglob("*.patch"))) == HELD


class ChangesWhenOpened(Cohort):
    """Its images are written anew while they are opened."""

    def volume(self, row):
        opened = super().volume(row)
        os.utime(self.root / row["image"], ns=(0, 7))
        return opened


def test_an_image_that_changes_while_it_is_opened_is_not_kept(cache, cases):
    cohort = cases(6)
    changing = ChangesWhenOpened(**vars(cohort))
    answers, images = cut_into(changing)
    assert (images >= 0).all() and len(answers) == 6 and not cache.exists()


def test_masks_wait_for_one_another(cases, nifti, tmp_path):
    cohort, found = cases(6), []
    row = cohort.included.iloc[0].to_dict() | {"mask": nifti("mask.nii.gz").name}
    given = (row, cohort.volume(row), tmp_path, cohort.checks)
    permits = [OPENING.acquire(timeout=5) for _ in range(4)]
    reading = threading.Thread(target=lambda: found.append(fitting_mask(*given)))
    reading.start()
    reading.join(0.3)
    waited = reading.is_alive()
    for _ in permits:
        OPENING.release()
    reading.join(20)
    assert waited and found[0].inside.any()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"values": np.zeros((3, 3, 3))}, "mask is empty"),
        ({"affine": np.eye(4) + np.outer([900, 0, 0, 0], [0, 0, 0, 1])}, "mask does not"),
        ({"values": np.ones((3, 3))}, "mask cannot be used"),
    ],
)
def test_a_mask_that_does_not_fit_gives_its_reason(cases, nifti, tmp_path, bad, reason):
    cohort = cases(6)
    row = cohort.included.iloc[0].to_dict() | {"mask": nifti("secret.nii.gz", **bad).name}
    with pytest.raises(DataError, match=r"^mask 'secret.nii.gz': ") as caught:
        fitting_mask(row, cohort.volume(row), tmp_path, cohort.checks)
    assert caught.value.reason.startswith(reason) and "secret" not in caught.value.reason
