"""Scans are drawn by chance, evenly, and big enough for a patch."""

from collections import Counter

import numpy as np
import pytest

from capsmed.data.demo.scene import NIFTI_AXES, scene

SCENES = [scene(i, 240) for i in range(240)]


def test_half_of_the_cases_are_dicom_and_half_nifti() -> None:
    assert Counter(s.format for s in SCENES) == {"dicom": 120, "nifti": 120}


def test_every_way_of_storing_occurs() -> None:
    assert {s.stored for s in SCENES} == {"head", "feet", *NIFTI_AXES}


def test_spacings_cover_real_scanners_evenly() -> None:
    assert Counter(s.slice_spacing for s in SCENES)[0.75] == 30
    pixels = np.sort([s.pixel_spacing for s in SCENES])
    assert pixels == pytest.approx(np.linspace(0.5, 0.9, 240), abs=0.003)


def test_a_patch_of_48_mm_with_a_shift_of_4_mm_is_inside_every_block() -> None:
    assert np.max([s.low for s in SCENES]) <= -28 and np.min([s.high for s in SCENES]) >= 28


def test_the_point_is_off_the_blocks_centre() -> None:
    centres = np.array([np.add(s.low, s.high) / 2 for s in SCENES])
    assert centres.std(axis=0) == pytest.approx([2.3, 2.3, 2.3], abs=0.1)


def test_the_same_case_has_the_same_scene_and_others_have_not() -> None:
    assert scene(7, 240) == SCENES[7]
    assert len({s.position for s in SCENES}) == 240
    assert SCENES[7].rng(1).random() == SCENES[7].rng(1).random() != SCENES[7].rng(2).random()
