import numpy as np
import pytest

from capsmed.data.radiomics import describe, lesion


def ball(radius, size=33, spacing=(1.0, 1.0, 1.0), inside=0.8, outside=0.1, dims=3, stretch=1.0):
    axes = np.meshgrid(*[np.arange(size) - size // 2] * dims, indexing="ij")
    scaled = [a * s for a, s in zip(axes, spacing, strict=False)]
    away = np.sqrt((scaled[0] / stretch) ** 2 + sum(a**2 for a in scaled[1:]))
    return np.where(away <= radius, inside, outside).astype(np.float32)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_lesion_is_the_bright_ball_in_the_middle(dims):
    image = ball(7, dims=dims)
    found, true = lesion(image), image > 0.5
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.95


def test_a_vessel_and_the_chest_wall_that_touch_it_stay_outside():
    image = ball(6)
    image[:, 16, 16] = 0.8  # a line through it
    image[:5] = 0.8
    found = lesion(image)
    assert not found[:7].any() and found[16, 16, 16]
    assert found.sum() == pytest.approx((ball(6) > 0.5).sum(), rel=0.1)


def beside_the_middle():
    """Dark in the middle, with a large bright structure that begins two voxels beside it."""
    image = np.zeros((21, 21))
    image[12:], image[:, 12:] = 1, 1
    return image


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9)), np.full((9, 9, 9), 0.4), np.eye(9), beside_the_middle()]
)
def test_there_is_always_a_lesion_and_every_feature_is_finite(image):
    assert lesion(image).any()
    assert all(np.isfinite(value) for value in describe(image, (1.0,) * image.ndim).values())


def test_size_is_in_mm_whatever_the_spacing():
    fine, coarse = ball(8), ball(8, size=17, spacing=(2.0, 2.0, 2.0))
    volume = 4 / 3 * np.pi * 8**3
    for image, spacing in ((fine, (1, 1, 1)), (coarse, (2, 2, 2))):
        assert np.exp(describe(image, spacing)["log_size"]) == pytest.approx(volume, rel=0.12)


def test_a_ball_is_rounder_and_less_elongated_than_an_ellipsoid():
    round_one = describe(ball(7), (1, 1, 1))
    long_one = describe(ball(5, stretch=2.0), (1, 1, 1))
    assert round_one["elongation"] == pytest.approx(1, abs=0.02)
    assert long_one["flatness"] < 0.75  # 0.5, but long lesions are cut short
    assert round_one["roundness"] > long_one["roundness"]
    assert round_one["roundness"] == pytest.approx(1, abs=0.12)


def test_intensities_are_those_inside():
    found = describe(ball(7, inside=0.6, outside=0.2), (1, 1, 1))
    assert found["median"] == pytest.approx(0.6) and found["contrast"] == pytest.approx(
        0.4, abs=0.05
    )
    assert found["entropy"] < 0.7 and found["percentile_90"] == pytest.approx(0.6)
