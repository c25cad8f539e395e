"""Rendered blocks: the ratings are seen, the surroundings know nothing of the nodule."""

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest

from capsmed.data import demo
from capsmed.data.demo import background, lesion, records
from capsmed.data.demo.grid import Grid
from capsmed.data.demo.render import Block, grain, render
from capsmed.data.demo.scene import scene
from capsmed.data.lidc.outlines import Nodule

NODULES = list(records.nodules().values())
SCENE = replace(scene(5, 240), slice_spacing=2.0)
NODULE = NODULES[1]  # 13.6 mm, rated solid and sharp by all
FINE = Grid((-15.0,) * 3, 0.6, (51,) * 3)


def rated(**ratings: float) -> Nodule:
    return replace(NODULE, ratings=NODULE.ratings | ratings)


def painted(nodule: Nodule) -> np.ndarray:
    volume = np.full(FINE.shape, -860.0)
    lesion.paint(volume, FINE, nodule, SCENE)
    return volume


def distance_from_point(block: Block) -> np.ndarray:
    index = np.indices(block.hu.shape).reshape(3, -1)
    place = block.affine[:3, :3] @ index + block.affine[:3, 3:]
    return np.linalg.norm(place - np.array(block.point)[:, None], axis=0).reshape(block.hu.shape)


@pytest.fixture(scope="module")
def blocks() -> tuple[Block, Block]:
    return render(SCENE, NODULE), render(SCENE, None)


def test_the_renderer_takes_a_scene_and_a_nodule_without_labels() -> None:
    assert list(inspect.signature(render).parameters) == ["scene", "nodule"]
    assert {f.name for f in fields(Nodule)} == {
        "pixel_spacing",
        "slice_spacing",
        "contours",
        "ratings",
    }
    assert all("malignancy" not in nodule.ratings for nodule in NODULES)


def test_a_case_has_the_same_bytes_each_time(blocks: tuple[Block, Block]) -> None:
    assert render(SCENE, NODULE).hu.tobytes() == blocks[0].hu.tobytes()


def test_other_pixels_need_another_version() -> None:
    hu = render(scene(5, 240), NODULES[5]).hu
    seen = (demo.VERSION, hu.shape, round(float(hu.mean()), 1), round(float(hu.std()), 1))
    assert seen == (1, (108, 108, 92), -694.6, 317.6), "raise demo.VERSION, then mend this line"


def test_away_from_the_nodule_nothing_depends_on_it(blocks: tuple[Block, Block]) -> None:
    far = distance_from_point(blocks[0]) > 22
    assert far.mean() > 0.5
    assert np.array_equal(blocks[0].hu[far], blocks[1].hu[far])
    assert np.array_equal(blocks[0].affine, blocks[1].affine)


def test_the_table_s_point_is_in_the_nodule(blocks: tuple[Block, Block]) -> None:
    near = distance_from_point(blocks[0]) < 3
    assert blocks[0].hu[near].mean() == pytest.approx(20, abs=40)
    assert blocks[1].hu[near].mean() < -600


def test_lung_and_chest_wall_have_their_density(blocks: tuple[Block, Block]) -> None:
    hu = blocks[1].hu
    assert np.percentile(hu, 40) == pytest.approx(-860, abs=45)
    assert 0.02 < np.mean(hu > -150) < 0.5 and hu.min() >= -1024


def test_noise_has_the_asked_deviation_and_neighbours_alike() -> None:
    noise = grain(SCENE, (60, 50, 20))
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert np.mean(noise[1:] * noise[:-1]) > 0.1


@pytest.mark.parametrize("index", [0, 7, 19, 89, 145])
def test_the_drawn_body_has_the_volume_of_the_consensus(index: int) -> None:
    grid = Grid((-40.0,) * 3, 0.6, (134,) * 3)
    depth, _ = lesion.signed_depth(NODULES[index], grid)
    volume = np.clip(0.5 + depth / 0.6, 0, 1).sum() * 0.6**3
    expected = float(records.rows()[index]["diameter_mm"])
    assert np.cbrt(6 * volume / np.pi) == pytest.approx(expected, rel=0.03)


def test_density_rises_with_texture() -> None:
    middle = [painted(rated(texture=t))[22:29, 22:29, 22:29].mean() for t in (1, 2, 3, 4, 5)]
    assert middle == sorted(middle)
    assert middle[0] < -500 and middle[-1] > -30


def test_part_solid_nodules_have_a_denser_core() -> None:
    part_solid, solid = painted(rated(texture=3)), painted(rated(texture=5))
    shell = (solid > -100) & (np.abs(FINE.axis(0))[:, None, None] > 5)
    assert part_solid[shell].mean() < part_solid[23:28, 23:28, 23:28].mean() - 150


def test_a_poor_margin_is_a_wider_edge() -> None:
    between = [np.mean(np.abs(painted(rated(margin=m)) + 430) < 250) for m in (1, 3, 5)]
    assert between == sorted(between, reverse=True) and between[0] > 1.5 * between[2]


def test_spiculation_adds_strands_outside() -> None:
    dense = [np.sum(painted(rated(spiculation=s)) > -500) for s in (1, 3, 5)]
    assert dense == sorted(set(dense))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_calcium_is_denser_than_any_soft_tissue(kind: int) -> None:
    assert painted(rated(calcification=6)).max() < 150 < painted(rated(calcification=kind)).max()


def test_a_nodule_never_thins_denser_tissue() -> None:
    bone = np.full(FINE.shape, 600.0)
    lesion.paint(bone, FINE, NODULE, SCENE)
    assert bone.min() == 600.0


def test_a_tube_covers_its_volume() -> None:
    tube = background.Tube(np.array([-8.0, 0, 0]), np.array([8.0, 0, 0]), 3.0, 2.0)
    volume = background.coverage(FINE, [tube]).sum() * 0.6**3
    cone, caps = np.pi / 3 * 16 * (9 + 6 + 4), 2 / 3 * np.pi * (27 + 8)
    assert volume == pytest.approx(cone + caps, rel=0.03)
