"""The check of a cohort and its training refuse the same rows."""

import gzip
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.data.survey import open_table, survey
from capsmed.errors import CapsmedError
from tests.data import corpus_tables
from tests.data.corpus import CORPUS
from tests.data.survey_cohorts import AFFINE, PATCH, SHAPE, look, save, whats, write_cohort

AWAY = AFFINE + np.outer([500, 0, 0, 0], [0, 0, 0, 1])


def refused(table, patch=PATCH, **options) -> str:
    """What a training says of a table; '' when it takes it."""
    try:
        cohort = Cohort.read(config.Data(cohort=table.name, **options), table.parent)
        PatchSet.load(cohort, cohort.included, patch, config.Augmentation())
    except CapsmedError as error:
        return str(error)
    return ""


def bad_affine(folder):
    content = bytearray(gzip.decompress((folder / "c0.nii.gz").read_bytes()))
    content[280:284] = np.float32(np.nan).tobytes()  # the sform's first number
    (folder / "c0.nii.gz").write_bytes(gzip.compress(content, 1))


def empty_mask(folder):
    save(folder / "m0.nii.gz", np.zeros(SHAPE))


def mask_away(folder):
    save(folder / "m0.nii.gz", np.ones(SHAPE), AWAY)


def mask_flat(folder):
    save(folder / "m0.nii.gz", np.ones(SHAPE[:2]))


def mask_broken(folder):
    (folder / "m0.nii.gz").write_bytes(b"no mask")


def mask_lost(folder):
    (folder / "m0.nii.gz").unlink()


def image_nan(folder):
    save(folder / "c0.nii.gz", np.full(SHAPE, np.nan))


def image_broken(folder):
    (folder / "c0.nii.gz").write_bytes(b"no image")


def point_outside(folder):
    table = folder / "cohort.csv"
    first = table.read_text().splitlines()[1]
    cells = first.split(",")
    table.write_text(table.read_text().replace(first, ",".join([*cells[:4], "900", *cells[5:]])))


def nothing(folder):
    """A cohort as it should be."""


BAD: dict[Callable, list[str]] = {
    nothing: [],
    bad_affine: ["image cannot be read"],
    empty_mask: ["mask is empty"],
    mask_away: ["mask does not touch the scan"],
    mask_flat: ["mask cannot be used"],
    mask_broken: ["mask cannot be used"],
    mask_lost: ["mask file not found"],
    image_nan: ["NaN or infinite voxels"],
    image_broken: ["image cannot be read"],
    point_outside: ["point outside the volume"],
}


GIVEN = [(spoil, "LPS") for spoil in BAD]
GIVEN += [(spoil, None) for spoil in BAD if spoil is not point_outside]


@pytest.mark.parametrize(("spoil", "frame"), GIVEN)
def test_what_a_training_refuses_is_to_be_mended_and_nothing_else(tmp_path, spoil, frame):
    table = write_cohort(tmp_path, 2, masks=True)
    spoil(tmp_path)
    if frame is None:  # the mask alone gives point and diameter
        table.write_text(table.read_text().replace(",x,y,z,diameter_mm,", ",a,b,c,d,"))
    found = look(table, frame)
    assert [case.bad for case in found.cases] == [bool(BAD[spoil]), False]
    assert bool(refused(table, frame=frame)) == bool(BAD[spoil])
    assert whats(found, "c0")[: len(BAD[spoil])] == BAD[spoil]


@pytest.mark.parametrize("policy", ["warn", "skip", "error"])
def test_a_mask_that_fails_a_check_follows_its_policy(tmp_path, policy):
    table = write_cohort(tmp_path, 2, masks=True)
    spread_forms(tmp_path / "m0.nii.gz")
    checks = config.Checks(form_conflict=policy)
    found = look(table, "LPS", checks=checks)
    assert found.cases[0].bad == (policy == "error")
    taken = Cohort.read(config.Data(cohort=table.name, frame="LPS", checks=checks), tmp_path)
    said = refused(table, frame="LPS", checks=checks)
    assert ("data.checks.form_conflict: warn or skip" in said) == (policy == "error")
    assert len(taken.included) == 2 and (policy == "warn") == ([] == whats(found, "c0"))


def spread_forms(path) -> None:
    """Rewrite a mask whose two forms disagree by 3 mm."""
    image = nib.load(path)
    moved = AFFINE.copy()
    moved[2, 3] += 3
    again = nib.Nifti1Image(np.asarray(image.dataobj), AFFINE)
    again.set_sform(AFFINE, 1)
    again.set_qform(moved, 1)
    nib.save(again, path)


TABLES = [
    entry
    for entry in CORPUS.values()
    if entry.build.__module__ == corpus_tables.__name__ and "npz" not in entry.name
]


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.name)
def test_bad_tables_of_the_corpus_are_refused_by_both(tmp_path, entry):
    table = entry.build(tmp_path)
    options = dict(entry.settings)
    patch = config.Patch(size=(5, 5, 3), spacing=1.0)
    assert bool(refused(table, patch, **options)) == (entry.answer == "refused")
    assert to_mend(table, patch, **options) == (entry.answer == "refused")


def to_mend(table, patch, **options) -> bool:
    """Whether a check finds a fault in the table or in a row; what rows share does not count."""
    try:
        opened = open_table(config.Data(cohort=table.name, **options), table.parent)
        found = survey(opened, patch, lambda i, cuts: None, lambda done, total: None, True)
    except CapsmedError:
        return True
    unnamed = found.frame.tested > 0 and not found.frame.named
    levels = {note.level for note in (*found.notes, *(n for c in found.cases for n in c.notes))}
    return unnamed or "mend" in levels
