import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.cut import cut
from capsmed.data.patches import PatchSet
from capsmed.data.sampling import EpochSampler
from capsmed.errors import ConfigError, DataError

SMALL = config.Patch(size=(3, 3, 1), spacing=1.0, window=(0.0, 105.0))
ALL = config.Augmentation(shift=1, flip=True, rotate=20, scale=0.1, noise=0.1, intensity=0.1)
DIGITS = config.Patch(spatial_dims=2, size=(8, 8), spacing=None, window=None)


@pytest.fixture
def digits(tmp_path):
    """40 of scikit-learn's digits as patches of 8x8 pixels."""
    cohort = Cohort.read(config.Data(cohort="digits", limit=40), tmp_path)
    return lambda augmentation=ALL: PatchSet.load(cohort, cohort.included, DIGITS, augmentation)


def view(patches, key=(0, 1), augment=True):
    return patches.view(np.arange(len(patches)), augment=augment, seed_key=key)


def images(dataset, keys):
    return torch.stack([item["image"] for item in dataset.__getitems__(keys)])


def test_an_item_is_a_plain_tensor_with_label_and_index(digits):
    item = view(digits())[3, 5]
    assert type(item["image"]) is torch.Tensor and item["image"].shape == (1, 8, 8)
    assert item["label"].dtype == torch.int64 and item["label"].shape == () and item["index"] == 5


def test_without_augmentation_the_item_is_the_patch_without_its_margin(digits):
    patches, plain = digits(), digits(config.Augmentation())
    assert sum(patches.margin) > 0 and sum(plain.margin) == 0
    assert torch.equal(images(view(patches, augment=False), [4, 7]), plain.images[[4, 7]])
    assert torch.equal(patches[4]["image"], plain.images[4])


def test_whole_sets_are_scaled_from_their_own_range_and_cut_like_single_images(tmp_path):
    cohort = Cohort.read(config.Data(cohort="digits", limit=20), tmp_path)
    patch = DIGITS.model_copy(update={"size": (5, 11)})
    patches = PatchSet.load(cohort, cohort.included, patch, config.Augmentation())
    for row, image in zip(cohort.included.to_dict("records"), patches.images, strict=True):
        assert np.allclose(cut(cohort.volume(row), None, patch), image)
    assert patches.images.max() == 1.0


def test_augmentation_depends_on_key_epoch_and_case_not_on_order_or_batch(digits):
    patches = digits()
    together = images(view(patches), [(2, i) for i in (7, 3, 9)])
    alone = [view(patches)[2, i]["image"] for i in (3, 9, 7)]
    assert torch.equal(together, torch.stack([alone[2], alone[0], alone[1]]))
    part = patches.view([9, 3], augment=True, seed_key=(0, 1))
    assert torch.equal(part[2, 1]["image"], alone[0])


def test_epochs_and_keys_differ(digits):
    patches = digits()
    first = view(patches)[0, 5]["image"]
    assert not torch.equal(first, view(patches)[1, 5]["image"])
    assert not torch.equal(first, view(patches, key=(0, 2))[0, 5]["image"])


def test_a_shift_moves_whole_voxels_and_fills_with_zero(digits):
    patches = digits(config.Augmentation(shift=2))
    padded = patches.images[5, 0]
    crops = [padded[a : a + 8, b : b + 8] for a in range(5) for b in range(5)]
    moved = [view(patches)[epoch, 5]["image"][0] for epoch in range(20)]
    assert all(any(torch.equal(m, crop) for crop in crops) for m in moved)
    assert (padded[:2] == 0).all() and len({m.numpy().tobytes() for m in moved}) > 5


def test_flips_mirror_each_axis_in_about_half_of_the_cases(digits):
    patches = digits(config.Augmentation(flip=True))
    found = images(view(patches), [(0, i) for i in range(40)])
    plain = patches.images
    kinds = [plain, plain.flip(2), plain.flip(3), plain.flip(2, 3)]
    hits = [sum(torch.equal(a, b) for a, b in zip(found, kind, strict=True)) for kind in kinds]
    assert sum(hits) == 40 and min(hits) > 3


def test_grey_values_change_within_their_bounds_and_stay_between_0_and_1(digits):
    patches = digits(config.Augmentation(noise=0.2, intensity=0.2))
    found = images(view(patches), [(0, i) for i in range(40)])
    assert found.min() == 0 and found.max() == 1
    assert not torch.allclose(found, patches.images, atol=0.1)


def test_rotation_and_zoom_invent_no_corners(nifti, cases):
    cohort = cases(6)
    nifti(values=np.full((41, 41, 41), 7.0))
    patch = config.Patch(size=(9, 9, 9), spacing=1.0, window=(0.0, 7.0))
    turning = config.Augmentation(rotate=180, scale=0.3, shift=2)
    patches = PatchSet.load(cohort, cohort.included, patch, turning)
    assert patches.images.min() == 1
    assert torch.allclose(images(view(patches), [(0, i) for i in range(6)]), torch.ones(1))


def test_spawned_workers_give_the_same_batches_as_none(digits):
    options = config.Augmentation(shift=1, flip=True, noise=0.1)
    dataset, batches = view(digits(options)), []
    for workers in (0, 2):
        sampler = EpochSampler(dataset.targets, (0,))
        sampler.epoch = 4
        context = "spawn" if workers else None
        loader = DataLoader(
            dataset, 16, sampler=sampler, num_workers=workers, multiprocessing_context=context
        )
        batches.append(torch.cat([batch["image"] for batch in loader]))
    assert torch.equal(*batches)


def test_all_bad_rows_are_listed_before_training(nifti, table, read, tmp_path):
    head = "case_id,patient_id,image,label,x,y,z\n"
    rows = (
        "1,1,a.nii.gz,b,3,2,1\n2,2,a.nii.gz,m,90,2,1\n3,3,b.nii.gz,m,3,2,1\n4,4,c.nii.gz,b,3,2,1\n"
    )
    cohort = read(table(head + rows, frame="RAS"))
    nifti("b.nii.gz", np.full((7, 5, 3), np.nan))
    (tmp_path / "c.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes()[:90])
    with pytest.raises(DataError, match="cohort.csv: 3 rows cannot be used") as caught:
        PatchSet.load(cohort, cohort.included, SMALL, ALL)
    lines = str(caught.value).splitlines()[1:]
    wanted = [
        "row 3 (case 2): the point lies outside",
        "row 4 (case 3): image",
        "row 5 (case 4): i",
    ]
    assert all(line.strip().startswith(text) for line, text in zip(lines, wanted, strict=True))


def test_skipped_cases_leave_cohort_and_patches_alike(nifti, table, read):
    rows = "".join(f"{i},{i},{'b' if i == 2 else 'a'}.nii.gz,{'bm'[i % 2]}\n" for i in range(6))
    cohort = read(table("case_id,patient_id,image,label\n" + rows))
    nifti("b.nii.gz", np.full((7, 5, 3), np.nan))
    patches = PatchSet.load(cohort, cohort.included, SMALL, config.Augmentation(), on_bad="skip")
    smaller = cohort.exclude(patches.excluded)
    assert list(smaller.included["case_id"]) == patches.case_ids == list("01345")
    assert smaller.table["excluded"][2] == "NaN or infinite voxels"
    assert patches.targets.tolist() == [0, 1, 1, 0, 1] and patches.images.min() > 0


def test_order_and_number_of_threads_change_nothing(nifti, table, read):
    rng = np.random.default_rng(0)
    names = [f"{letter}.nii.gz" for letter in "abcdefg"]
    rows = [f"{i},{i},{names[i * 3 % 7]},{'bm'[i % 2]},{i % 7},2,1" for i in range(21)]
    cohort = read(table("\n".join(["case_id,patient_id,image,label,x,y,z", *rows]), frame="RAS"))
    for name in names:
        nifti(name, rng.uniform(0, 105, (7, 5, 3)))
    patches = PatchSet.load(cohort, cohort.included, SMALL, ALL)
    order = rng.permutation(21)
    other = PatchSet.load(cohort, cohort.included.iloc[order], SMALL, ALL)
    assert torch.equal(other.images, patches.images[torch.from_numpy(order)])
    for row, image in zip(cohort.included.to_dict("records"), patches.images, strict=True):
        point = np.array([row["x"], row["y"], row["z"]])
        assert torch.equal(
            torch.from_numpy(cut(cohort.volume(row), point, SMALL, patches.margin)), image
        )


def test_padding_is_recorded_and_much_of_it_said(cases):
    cohort = cases(6, ",x,y,z", lambda i: f",{i},0,1", frame="RAS")
    patches = PatchSet.load(cohort, cohort.included, SMALL, ALL)
    assert np.allclose(patches.padded, [5 / 9, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert patches.remarks() == [
        "6 of 6 patches lie more than a quarter beyond the border of their image (at most 56%) and "
        "are air there; see the column padded of cohort.csv"
    ]
    assert patches.described(["c01", "lost"])["padded"] == [
        0.3333,
        pytest.approx(np.nan, nan_ok=True),
    ]


def test_whole_sets_are_padded_alike(tmp_path):
    cohort = Cohort.read(config.Data(cohort="digits", limit=20), tmp_path)
    patch = DIGITS.model_copy(update={"size": (8, 16)})
    patches = PatchSet.load(cohort, cohort.included, patch, config.Augmentation())
    assert patches.padded.tolist() == [0.5] * 20


@pytest.fixture
def odd(series, slice_of, nifti, read, tmp_path):
    """Two scans of three, of which the first has one slice that is lossily compressed."""

    def make(**options) -> Cohort:
        slices = [slice_of(z) for z in (0, 2, 4)]
        slices[0].LossyImageCompression = "01"
        series(slices)
        nifti("a.nii.gz")
        rows = "case_id,patient_id,image,label\n" + "".join(
            f"{i},{i},{'series' if i == 1 else 'a.nii.gz'},{'bm'[i % 2]}\n" for i in range(4)
        )
        (tmp_path / "cohort.csv").write_text(rows)
        return read(config.Data(cohort="cohort.csv", **options))

    return make


def test_what_an_image_is_warned_of_is_listed_and_said(odd):
    cohort = odd()
    patches = PatchSet.load(cohort, cohort.included, SMALL, ALL)
    assert patches.findings == {"1": ("lossy",)}
    assert patches.described(["0", "1"])["findings"] == ["", "lossy"]
    assert patches.remarks() == [
        "data.checks.lossy: 1 of 4 cases (lossy compression; warn: taken as it is)"
    ]


@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_a_check_of_the_policy_skip_leaves_the_case_out(odd, on_bad):
    cohort = odd(checks=config.Checks(lossy="skip"))
    patches = PatchSet.load(cohort, cohort.included, SMALL, ALL, on_bad=on_bad)
    assert patches.excluded == {"1": "check lossy"} and patches.case_ids == ["0", "2", "3"]
    assert len(patches.padded) == 3 and patches.findings == {}


def test_a_check_of_the_policy_error_stops_or_is_the_reason(odd):
    cohort = odd(checks=config.Checks(lossy="error"))
    with pytest.raises(
        DataError, match="1 row cannot be used(.|\n)*data.checks.lossy: warn or skip"
    ):
        PatchSet.load(cohort, cohort.included, SMALL, ALL)
    patches = PatchSet.load(cohort, cohort.included, SMALL, ALL, on_bad="skip")
    assert patches.excluded == {"1": "check lossy"}


def test_a_config_that_does_not_suit_the_images_names_where(cases):
    cohort = cases(6)
    with pytest.raises(ConfigError, match=r"patch.window: .*\(cohort.csv row 2 \(case c00\)\)"):
        patch = config.Patch(size=(3, 3, 1), spacing=None, window=None)
        PatchSet.load(cohort, cohort.included, patch, ALL)


def test_arrays_of_other_dimensions_are_a_config_error(tmp_path):
    cohort = Cohort.read(config.Data(cohort="digits"), tmp_path)
    patch = config.Patch(size=(4, 4, 4), spacing=None, window=None)
    with pytest.raises(ConfigError, match="patch.spatial_dims: expected 2"):
        PatchSet.load(cohort, cohort.included, patch, ALL)


def test_progress_is_told_and_cases_are_found_again(cases):
    cohort, told = cases(6), []
    patches = PatchSet.load(
        cohort, cohort.included, SMALL, ALL, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(i, 6) for i in range(1, 7)]
    assert patches.positions(["c04", "c01"]).tolist() == [4, 1]


def test_a_real_patch_holds_the_nodule_in_its_middle(real_data):
    data = config.Data(cohort="lidc_3d/cohort.csv", classes=("benign", "malignant"), limit=6)
    cohort = Cohort.read(data, real_data)
    patches = PatchSet.load(cohort, cohort.included, config.Patch(), config.Augmentation())
    middle = patches.images[:, 0, 14:18, 14:18, 14:18].mean(dim=(1, 2, 3))
    assert patches.images.shape == (6, 1, 32, 32, 32)
    assert middle.mean() > 1.5 * patches.images.mean()
