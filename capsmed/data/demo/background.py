"""The lung around a nodule: parenchyma, vessels, a bronchus, the pleura and the chest wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capsmed.data.demo.grid import Grid, smooth_field
from capsmed.data.demo.scene import Scene

VESSEL_HU, BRONCHUS_HU, AIR_HU = 35.0, -250.0, -970.0
MUSCLE_HU, FAT_HU, BONE_HU, MARROW_HU = 45.0, -95.0, 650.0, 180.0
CHEST_RADIUS = 95.0  # mm: the pleura's curvature


@dataclass(frozen=True)
class Tube:
    """A straight piece of a tapering tube from ``start`` to ``end`` (mm)."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float


@dataclass
class _Tip:
    place: np.ndarray
    heading: np.ndarray
    radius: float
    generation: int = 0


def background(grid: Grid, scene: Scene) -> np.ndarray:
    """Return HU on the grid without any nodule; it depends on the scene alone."""
    outward = _outward(scene)
    lung = parenchyma(grid, scene)
    vessels, airway = trees(scene, outward)
    wall = coverage(grid, airway)
    lumen = coverage(grid, [_narrowed(t, 0.7) for t in airway])
    lung += wall * (BRONCHUS_HU - lung)
    lung += lumen * (AIR_HU - lung)
    lung += coverage(grid, vessels) * (VESSEL_HU - lung)
    if scene.wall is None:
        return lung
    return chest_wall(grid, scene.rng(3), scene.wall, outward, lung)


def parenchyma(grid: Grid, scene: Scene) -> np.ndarray:
    """Return aerated lung: about -860 HU, denser to the back, mottled at three scales."""
    rng = scene.rng(1)
    lung = np.full(grid.shape, rng.normal(-862, 15))
    lung += np.linspace(-15, 15, grid.shape[1])[None, ::-1, None]
    for scale, amount in ((1.6, 22), (4.0, 14), (14.0, 12)):
        lung += amount * smooth_field(rng, grid, scale)
    return lung


def trees(scene: Scene, outward: np.ndarray) -> tuple[list[Tube], list[Tube]]:
    """Return vessels and one bronchus, grown from the hilar side toward the pleura."""
    rng = scene.rng(2)
    vessels: list[Tube] = []
    trunks = [_trunk(rng, scene, outward) for _ in range(rng.integers(4, 7))]
    for tip in trunks:
        grow(rng, scene, tip, vessels)
    for _ in range(rng.integers(24, 40)):
        place = rng.uniform(scene.low, scene.high)
        heading = _unit(outward + rng.normal(0, 0.8, 3))
        grow(rng, scene, _Tip(place, heading, rng.uniform(0.35, 0.8), 2), vessels)
    airway: list[Tube] = []
    tip = _trunk(rng, scene, outward)
    grow(rng, scene, _Tip(tip.place, tip.heading, rng.uniform(1.4, 2.4), 2), airway)
    return vessels, airway


def grow(rng: np.random.Generator, scene: Scene, tip: _Tip, tubes: list[Tube]) -> None:
    """Let a tube wander, taper and fork until it is thin or leaves the block."""
    tips = [tip]
    while tips:
        now = tips.pop()
        while now.radius > 0.3 and _inside(scene, now.place):
            heading = _unit(now.heading + rng.normal(0, 0.16, 3))
            end = now.place + heading * (3.0 + now.radius)
            radius = now.radius * rng.uniform(0.93, 0.985)
            tubes.append(Tube(now.place, end, now.radius, radius))
            if now.generation < 4 and rng.random() < 0.22:
                branch = _unit(heading + rng.normal(0, 0.75, 3))
                child = radius * rng.uniform(0.45, 0.8)
                tips.append(_Tip(end, branch, child, now.generation + 1))
            now = _Tip(end, heading, radius, now.generation)


def coverage(grid: Grid, tubes: list[Tube]) -> np.ndarray:
    """Return how much of each grid cell lies inside any of the tubes, 0 to 1."""
    filled = np.zeros(grid.shape)
    for tube in tubes:
        reach = tube.start_radius + grid.step
        low, high = np.minimum(tube.start, tube.end), np.maximum(tube.start, tube.end)
        box = grid.box(low - reach, high + reach)
        if min(filled[box].shape) == 0:
            continue
        inside = np.clip(0.5 - distance(grid.part(box), tube) / grid.step, 0, 1)
        np.maximum(filled[box], inside, out=filled[box])
    return filled


def distance(mesh: tuple[np.ndarray, ...], tube: Tube) -> np.ndarray:
    """Return the distance in mm of mesh points from a tube's surface, negative inside."""
    along = tube.end - tube.start
    length = float(along @ along)
    offset = [axis - start for axis, start in zip(mesh, tube.start, strict=True)]
    t = sum(o * a for o, a in zip(offset, along, strict=True)) / length
    t = np.clip(t, 0, 1)
    squared = sum((o - t * a) ** 2 for o, a in zip(offset, along, strict=True))
    return np.sqrt(squared) - (tube.start_radius + t * (tube.end_radius - tube.start_radius))


def chest_wall(
    grid: Grid, rng: np.random.Generator, wall: float, outward: np.ndarray, lung: np.ndarray
) -> np.ndarray:
    """Return the lung with pleura, muscle, fat and ribs from ``wall`` mm along outward on."""
    centre = outward * (wall - CHEST_RADIUS)
    mesh = grid.part(tuple(slice(0, n) for n in grid.shape))
    squared = sum((axis - c) ** 2 for axis, c in zip(mesh, centre, strict=True))
    waves = smooth_field(rng, grid, 8.0)
    depth = np.sqrt(squared) - CHEST_RADIUS + 0.5 * waves
    layers = 0.5 + 0.5 * np.tanh(1.5 * waves + (depth - 9) / 5)
    tissue = MUSCLE_HU + layers * (FAT_HU - MUSCLE_HU)
    bones = ribs(rng, centre, outward)
    tissue += coverage(grid, bones) * (BONE_HU - tissue)
    tissue += coverage(grid, [_narrowed(t, 0.68) for t in bones]) * (MARROW_HU - tissue)
    beyond = np.clip(0.5 + depth / grid.step, 0, 1)
    return lung + beyond * (tissue - lung)


def ribs(rng: np.random.Generator, centre: np.ndarray, outward: np.ndarray) -> list[Tube]:
    """Return three sloping ribs that run round the chest's axis at ``centre``, 25 mm apart."""
    side = _unit(np.cross((0.0, 0.0, 1.0), outward))
    top, slope = rng.uniform(-12, 12), rng.uniform(-0.35, 0.35)
    found = []
    for height in (top - 25, top, top + 25):
        angles = np.linspace(-0.75, 0.75, 19)
        ring = CHEST_RADIUS + 7.0
        places = [
            centre
            + ring * (np.cos(a) * outward + np.sin(a) * side)
            + np.array([0, 0, height + slope * ring * a])
            for a in angles
        ]
        found += [Tube(a, b, 4.8, 4.8) for a, b in zip(places, places[1:], strict=False)]
    return found


def _outward(scene: Scene) -> np.ndarray:
    rng = scene.rng(4)
    angle = rng.uniform(0, 2 * np.pi)
    return _unit(np.array([np.cos(angle), np.sin(angle), rng.normal(0, 0.12)]))


def _trunk(rng: np.random.Generator, scene: Scene, outward: np.ndarray) -> _Tip:
    reach = 0.45 * (np.array(scene.high) - scene.low)
    aside = rng.normal(0, 16, 3)
    aside -= outward * (aside @ outward)
    place = np.clip(-outward * 34 + aside, -reach, reach)
    return _Tip(place, _unit(outward + rng.normal(0, 0.3, 3)), rng.uniform(1.1, 2.8))


def _inside(scene: Scene, place: np.ndarray) -> bool:
    low, high = np.array(scene.low) - 6, np.array(scene.high) + 6
    return bool(np.all(place > low) and np.all(place < high))


def _narrowed(tube: Tube, part: float) -> Tube:
    return Tube(tube.start, tube.end, part * tube.start_radius, part * tube.end_radius)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(vector @ vector)
