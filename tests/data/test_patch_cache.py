import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import capsmed
from capsmed import config
from capsmed.data import patch_key as patch_key_module
from capsmed.data.cohort import Cohort
from capsmed.data.dicom import decoders
from capsmed.data.patch_cache import Cut, PatchCache
from capsmed.data.patch_key import code_version, folder_identity, patch_key
from capsmed.data.patches import PatchSet
from capsmed.errors import ConfigError, DataError
from tests.data.scan_writers import WRITERS, write_scan

PATCH = config.Patch(size=(3, 5, 2), spacing=1.0, window=(0.0, 105.0))
PLAIN = config.Augmentation()
TABLE = "case_id,patient_id,image,label,x,y,z\n" + "".join(
    f"{i},{i},{name}.nii.gz,{'bm'[i % 2]},{i % 7},2,1\n" for i, name in enumerate("aabbcc")
)


@pytest.fixture
def cohort(table, read) -> Cohort:
    """Six cases, two in each of three images."""
    return read(table(TABLE, frame="RAS"))


def load(cohort, patch=PATCH, augmentation=PLAIN, **options) -> PatchSet:
    return PatchSet.load(cohort, cohort.included, patch, augmentation, **options)


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.patch"))


def plant(cache: Path, fill: float = 0.5) -> None:
    """Put a patch that no image gives in the place of each that is kept."""
    for path in files(cache):
        found = PatchCache(cache, 1e9).get(path.stem)
        planted = replace(found, values=np.full_like(found.values, fill))
        PatchCache(cache, 1e9).put(path.stem, planted)


def test_a_second_reading_gives_the_same_bits(cache, cohort):
    first, second = load(cohort), load(cohort)
    assert torch.equal(first.images, second.images) and first.images.std() > 0
    assert np.array_equal(first.padded, second.padded) and first.padded.max() > 0


def test_a_second_reading_takes_every_patch_from_the_cache(cache, cohort):
    load(cohort)
    assert len(files(cache)) == 6
    plant(cache)
    assert (load(cohort).images == 0.5).all()


def test_without_room_nothing_is_kept(cache, cohort, monkeypatch):
    monkeypatch.setenv("CAPSMED_CACHE_GB", "0")
    load(cohort)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("patch", "augmentation"),
    [
        ({"size": (3, 5, 3)}, {}),
        ({"spacing": 1.1}, {}),
        ({"spacing": None}, {}),
        ({"window": (0.0, 100.0)}, {}),
        ({}, {"shift": 1}),
    ],
    ids=str,
)
def test_a_changed_setting_never_meets_a_patch_cut_for_another(cache, cohort, patch, augmentation):
    load(cohort)
    plant(cache)
    changed = load(cohort, PATCH.model_copy(update=patch), config.Augmentation(**augmentation))
    assert not (changed.images == 0.5).flatten(1).all(1).any() and len(files(cache)) == 12


def test_changed_policies_and_points_are_cut_anew(cache, table, read):
    load(read(table(TABLE, frame="RAS")))
    checks = config.Checks(lossy="error")
    for text, options in ((TABLE, {"checks": checks}), (TABLE.replace(",2,1\n", ",2,1.25\n"), {})):
        plant(cache)
        found = load(read(table(text, frame="RAS", images=False, **options)))
        assert not (found.images == 0.5).flatten(1).all(1).any()


def test_a_changed_image_is_read_anew_and_the_others_are_not(cache, cohort, nifti):
    load(cohort)
    plant(cache)
    nifti("b.nii.gz", np.full((7, 5, 3), 105.0))
    highest = load(cohort).images.flatten(1).max(dim=1).values
    assert highest.tolist() == [0.5, 0.5, 1, 1, 0.5, 0.5]


def test_an_image_of_the_same_size_and_date_is_still_another(tmp_path):
    (tmp_path / "1").write_text("a")
    before, old = folder_identity(tmp_path), (tmp_path / "1").stat()
    time.sleep(0.02)  # the clock of file times ticks slowly
    (tmp_path / "1").write_text("b")
    os.utime(tmp_path / "1", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (tmp_path / "1").stat().st_mtime_ns == old.st_mtime_ns
    assert folder_identity(tmp_path) != before


def test_a_folders_identity_follows_every_file_below_it(tmp_path):
    folder = tmp_path / "scan" / "inner"
    folder.mkdir(parents=True)
    seen = [folder_identity(folder.parent)]
    for change in (
        lambda: (folder / "1").write_text("a"),
        lambda: (folder / "1").write_text("ab"),
        lambda: (folder / "1").rename(folder / "2"),
        lambda: (folder / "2").unlink(),
    ):
        change()
        seen.append(folder_identity(folder.parent))
    assert len(set(seen)) == 4 and seen[0] == seen[4] and "" not in seen


def test_a_folder_that_holds_itself_by_a_link_is_listed_once(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "1").write_text("a")
    (tmp_path / "scan" / "loop").symlink_to(tmp_path / "scan", target_is_directory=True)
    assert folder_identity(tmp_path / "scan") == folder_identity(tmp_path / "scan") != ""


def test_folders_linked_to_one_another_are_listed_once_each(tmp_path):
    names = "abcdefghijkl"
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "slice").write_bytes(b"1")
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    before = folder_identity(tmp_path)
    (tmp_path / "l" / "slice").write_bytes(b"12")
    assert before and folder_identity(tmp_path) != before


def test_every_decoder_is_part_of_the_key():
    assert set(decoders.PACKAGES) <= set(patch_key_module._PACKAGES)
    assert {"pillow", "python-gdcm", "pylibjpeg-openjpeg"} <= set(decoders.PACKAGES)


def test_others_may_not_look_at_the_pixels(cache, cohort):
    load(cohort)
    assert cache.stat().st_mode & 0o077 == 0


def test_what_cannot_be_listed_has_no_identity(tmp_path):
    assert folder_identity(tmp_path / "lost") == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:40],
        lambda content: content + b"\0",
        lambda content: b"x" + content[1:],
        lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
        lambda content: content[:-2] + bytes([content[-2] ^ 64]) + content[-1:],
    ],
    ids=["empty", "cut off", "head only", "longer", "magic", "description", "one bit"],
)
def test_a_damaged_patch_is_cut_anew_and_mended(cache, cohort, damage):
    right = load(cohort)
    broken = files(cache)[3]
    content = broken.read_bytes()
    broken.write_bytes(damage(content))
    assert torch.equal(load(cohort).images, right.images)
    assert broken.read_bytes() == content


def test_a_patch_under_another_ones_name_is_not_used(cache, cohort):
    right = load(cohort)
    one, other = files(cache)[:2]
    one.write_bytes(other.read_bytes())
    assert torch.equal(load(cohort).images, right.images)


def test_an_image_that_changes_while_it_is_read_is_not_kept(cache, cohort, tmp_path):
    def touch(done: int, total: int) -> None:
        os.utime(tmp_path / "c.nii.gz", ns=(0, done))

    load(cohort, progress=touch)
    assert len(files(cache)) == 4


def test_a_folder_that_cannot_be_written_costs_one_warning_and_no_run(cache, cohort, caplog):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert len(load(cohort)) == 6
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1 and "patches are not cached: free some space" in messages[0]


def test_a_disk_that_fills_up_while_writing_leaves_nothing_half_done(tmp_path, caplog):
    resource = pytest.importorskip("resource", reason="Windows has no limit on file sizes")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    cache = PatchCache(tmp_path / "cache", 1e6)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, old[1]))
    try:
        cache.put("ab", entry())
        cache.put("cd", entry())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(caplog.records) == 1


def entry(fill: float = 1.0) -> Cut:
    return Cut(np.full((1, 5, 5, 5), fill, np.float32), 0.25, ("lossy", "gantry_tilt"))


def test_a_patch_comes_back_with_its_padding_and_findings(tmp_path):
    cache = PatchCache(tmp_path, 1e6)
    cache.put("ab12", entry(0.3))
    found = cache.get("ab12")
    assert (found.padded, found.findings) == (0.25, ("lossy", "gantry_tilt"))
    assert found.values.dtype == np.float32 and np.array_equal(found.values, entry(0.3).values)
    assert cache.get("ab13") is None


def test_the_patches_used_longest_ago_go_first(tmp_path):
    cache = PatchCache(tmp_path, 2000)  # each takes about 600 bytes
    for number in range(3):
        cache.put(f"0{number}", entry())
        os.utime(next(tmp_path.glob(f"0{number}/*")), (1e9 + number, 1e9 + number))
    assert cache.get("00") is not None  # used just now
    cache.put("03", entry())
    cache.prune()
    assert [cache.get(f"0{number}") is not None for number in range(4)] == [True, False, True, True]


def test_remains_of_a_killed_write_go_once_they_are_old(tmp_path):
    (tmp_path / "ab").mkdir()
    for name, age in (("old", 1e9), ("new", 4e9)):
        (tmp_path / "ab" / f".{name}.part").write_text("half")
        os.utime(tmp_path / "ab" / f".{name}.part", (age, age))
    cache = PatchCache(tmp_path, 1e6)
    cache.put("ab", entry())
    cache.prune()
    assert sorted(path.name for path in tmp_path.glob("ab/*")) == [".new.part", "ab.patch"]


@pytest.mark.parametrize("given", ["ten", "-1", "nan"])
def test_a_limit_that_is_no_number_is_a_config_error(monkeypatch, given):
    monkeypatch.setenv("CAPSMED_CACHE_GB", given)
    with pytest.raises(ConfigError, match="CAPSMED_CACHE_GB: expected a number of gigabytes"):
        PatchCache.default()


WRITE_AND_READ = """
import sys
from pathlib import Path
import numpy as np
from capsmed.data.patch_cache import Cut, PatchCache
cache, right = PatchCache(Path(sys.argv[1]), 1e6), 0
for turn in range(int(sys.argv[2]), int(sys.argv[2]) + 200):
    name = f"{turn % 40:02d}"
    cache.put(name, Cut(np.full((1, 5, 5, 5), float(name), np.float32), 0.0, ()))
    found = cache.get(name)
    right += found is not None and bool((found.values == float(name)).all())
print(right)
"""


def test_two_processes_write_and_read_the_same_patches_safely(tmp_path):
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_AND_READ, str(tmp_path), start], stdout=subprocess.PIPE
        )
        for start in ("0", "7")
    ]
    assert [started.communicate()[0].strip() for started in starts] == [b"200", b"200"]
    assert len(list(tmp_path.rglob("*.*"))) == 40  # nothing half written


def test_keys_differ_by_every_part():
    given = dict(source="s", series="1.2", point=(1.0, 2.0, 3.0), patch=PATCH, margin=(0, 0, 0))
    others = [
        {"source": "t"},
        {"series": "1.3"},
        {"point": ()},
        {"point": (1.0, 2.0, np.nextafter(3.0, 4))},
        {"margin": (0, 0, 1)},
        {"patch": PATCH.model_copy(update={"channels": 3})},
        {"checks": config.Checks(lossy="skip")},
    ]
    keys = {patch_key(**{"checks": config.Checks(), **given, **other}) for other in [{}, *others]}
    assert len(keys) == 8


def test_another_version_of_capsmed_makes_other_keys(monkeypatch):
    before = code_version()
    monkeypatch.setattr(capsmed, "__version__", "another")
    assert code_version.__wrapped__() != before == code_version()


def test_a_series_in_a_folder_is_kept_without_opening_it_again(
    cache, series, slice_of, read, tmp_path, monkeypatch
):
    series([slice_of(z) for z in (0, 2, 4)])
    rows = "case_id,patient_id,image,label\n1,1,series,a\n2,2,series,b\n"
    (tmp_path / "cohort.csv").write_text(rows)
    cohort = read(config.Data(cohort="cohort.csv"))
    patch = config.Patch(size=(2, 2, 2), spacing=1.0, window=(-1000.0, 400.0))
    first = load(cohort, patch)
    monkeypatch.setattr(Cohort, "volume", None)  # an attempt to open it fails
    assert torch.equal(load(cohort, patch).images, first.images)
    assert len(files(cache)) == 1  # two cases, one point, one patch


@pytest.fixture
def two(tmp_path, read) -> Callable[[str], Cohort]:
    """Two cases of two scans in folders 'a' and 'b', in one of the formats."""

    def make(form: str) -> Cohort:
        values, rows = np.random.default_rng(0).integers(-1000, 400, (7, 5, 6), np.int16), []
        for name in "ab":
            (tmp_path / name).mkdir()
            path = write_scan(tmp_path / name, form, values, np.eye(4))
            rows.append(f"{name},{name},{path.relative_to(tmp_path)},{name}\n")
        (tmp_path / "cohort.csv").write_text("case_id,patient_id,image,label\n" + "".join(rows))
        return read(config.Data(cohort="cohort.csv"))

    return make


@pytest.mark.parametrize("form", WRITERS)
def test_scans_of_every_format_are_kept(cache, two, form):
    cohort = two(form)
    first = load(cohort)
    assert len(files(cache)) == 2 and first.images.std() > 0
    plant(cache)
    assert (load(cohort).images == 0.5).all()


def test_voxels_beside_their_header_are_watched_too(cache, two, tmp_path):
    cohort = two("scan.mhd")
    load(cohort)
    plant(cache)
    os.utime(tmp_path / "b" / "scan.raw", (1e9, 1e9))
    changed = (load(cohort).images != 0.5).flatten(1).any(1)
    assert changed.tolist() == [False, True]


def test_pictures_are_not_kept(cache, tmp_path, read):
    for name in "ab":
        Image.fromarray(np.full((4, 6), 9, np.uint8)).save(tmp_path / f"{name}.png")
    rows = "case_id,patient_id,image,label\n1,1,a.png,a\n2,2,b.png,b\n"
    (tmp_path / "cohort.csv").write_text(rows)
    patch = config.Patch(spatial_dims=2, size=(2, 2), spacing=None, window=None)
    load(read(config.Data(cohort="cohort.csv")), patch)
    assert not cache.exists()


MASKED = "case_id,patient_id,image,label,x,y,z,diameter_mm,mask\n" + "".join(
    f"{i},{i},{i}.nii.gz,{'bm'[i]},3,2,1,5,mask-{i}.nii.gz\n" for i in range(2)
)
FAR = np.diag([1.0, 1.0, 1.0, 1.0]) + np.outer([500, 0, 0, 0], [0, 0, 0, 1])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"values": np.zeros((3, 3, 3))}, r"row 3 \(case 1\): mask 'mask-1.nii.gz': it is empty"),
        ({"affine": FAR}, "mask 'mask-1.nii.gz': it does not touch the scan"),
    ],
)
def test_a_mask_that_gives_neither_point_nor_size_must_fit_too(
    bad, message, cache, table, read, nifti
):
    cohort = read(table(MASKED, frame="RAS"))
    load(cohort)
    assert len(files(cache)) == 2
    nifti("mask-1.nii.gz", **bad)
    with pytest.raises(DataError, match=message):
        load(cohort)
