"""Scanner and surroundings tell nothing about the label: intervals of AUC contain one half."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from capsmed.data.demo import records
from capsmed.data.demo.render import render
from capsmed.data.demo.scene import Scene, scene

SCENES = [scene(i, 240) for i in range(240)]
MALIGNANT = np.array([label.name == "malignant" for label in records.labels().values()])
DIAMETER = np.array([float(row["diameter_mm"]) for row in records.rows()])


def interval(target: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of the AUC; a case is a patient."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(target), size=(1000, len(target)))
    positive, ranks = target[drawn], rankdata(score[drawn], axis=1)
    one, other = positive.sum(axis=1), (~positive).sum(axis=1)
    area = ((ranks * positive).sum(axis=1) - one * (one + 1) / 2) / (one * other)
    low, high = np.percentile(area, (2.5, 97.5))
    return float(low), float(high)


def held_out(features: np.ndarray, target: np.ndarray, *steps: object) -> np.ndarray:
    """Scores of a logistic model on the fold that it was not fitted on."""
    model = make_pipeline(StandardScaler(), *steps, LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(model, features, target, cv=folds, method="predict_proba")[:, 1]


def described(place: Scene) -> list[float]:
    wall = 40.0 if place.wall is None else place.wall
    return [
        place.format == "dicom",
        place.stored in ("head", "RAS"),
        place.stored == "LPS",
        place.pixel_spacing,
        place.slice_spacing,
        place.blur,
        place.noise,
        place.grain,
        wall,
        *np.subtract(place.high, place.low),
        *np.add(place.high, place.low),
        *place.position,
    ]


def surroundings(index: int) -> np.ndarray:
    """The 48 mm round the point at 3 mm, rendered without a nodule."""
    block = render(SCENES[index], None)
    spacing = np.diag(block.affine)[:3]
    corner = (np.array(block.point) - block.affine[:3, 3] - 7.5 * 3) / spacing
    hu = block.hu.astype(np.float32)
    return affine_transform(hu, 3 / spacing, corner, (16, 16, 16), order=1, mode="nearest")


@pytest.fixture(scope="module")
def empty_patches() -> np.ndarray:
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(surroundings, range(0, 240, 2))))


def test_scanner_and_block_do_not_tell_the_label() -> None:
    low, high = interval(MALIGNANT, held_out(np.array([*map(described, SCENES)]), MALIGNANT))
    assert low < 0.5 < high


def test_scanner_and_block_do_not_tell_the_size() -> None:
    large = np.median(DIAMETER) < DIAMETER
    low, high = interval(large, held_out(np.array([*map(described, SCENES)]), large))
    assert low < 0.5 < high


def test_the_same_model_does_find_what_tells_the_label() -> None:
    features = np.c_[np.array([*map(described, SCENES)]), np.log(DIAMETER)]
    assert interval(MALIGNANT, held_out(features, MALIGNANT))[0] > 0.7


@pytest.mark.slow
def test_patches_without_the_nodule_do_not_tell_the_label(empty_patches: np.ndarray) -> None:
    target = MALIGNANT[::2]
    low, high = interval(target, held_out(flat(empty_patches), target, PCA(20, random_state=0)))
    assert low < 0.5 < high


@pytest.mark.slow
def test_brightness_without_the_nodule_does_not_tell_the_label(empty_patches: np.ndarray) -> None:
    target, everything = MALIGNANT[::2], flat(empty_patches)
    middle = flat(empty_patches[:, 4:12, 4:12, 4:12])
    features = np.c_[
        everything.mean(1),
        everything.std(1),
        middle.mean(1),
        middle.std(1),
        middle.max(1),
        np.percentile(everything, (5, 50, 95), axis=1).T,
    ]
    low, high = interval(target, held_out(features, target))
    assert low < 0.5 < high


def flat(patches: np.ndarray) -> np.ndarray:
    return patches.reshape(len(patches), -1)
