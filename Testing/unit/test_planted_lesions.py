"""Planted lesions: what the ground truth says is what was changed, and nothing else."""

import numpy as np
import pytest
from scipy import ndimage

from neurogen.synth.evaluation_set import plant, planted_set
from neurogen.synth.lesions import KINDS, plant_lesion


def textured_brain(shape=(60, 70, 50), seed=0):
    """An ellipsoid brain of smooth mid-gray tissue with standard deviation near 0.06."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape], indexing="ij")
    brain = sum(g**2 for g in grid) < 0.9
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2, mode="wrap")
    return ((0.5 + 0.06 * noise / noise.std()) * brain).astype(np.float32), brain


@pytest.fixture(scope="module")
def scan():
    return textured_brain()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("volume_ml", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.0, 1.5, 4.0)], ids=str)
def test_the_lesion_is_as_large_and_as_strong_as_asked(scan, kind, volume_ml, spacing_mm):
    image, brain = scan
    lesion = plant_lesion(image, brain, spacing_mm, kind, volume_ml, 2.0, np.random.default_rng(1))
    voxel_ml = np.prod(spacing_mm) / 1000
    assert abs(lesion.mask.sum() * voxel_ml - volume_ml) <= voxel_ml / 2 + 1e-9
    assert lesion.volume_ml == pytest.approx(lesion.mask.sum() * voxel_ml)
    assert lesion.contrast == pytest.approx(2.0, rel=0.01)
    assert not (lesion.mask & ~brain).any()
    assert np.allclose(lesion.centroid_voxel, ndimage.center_of_mass(lesion.mask))


@pytest.mark.parametrize("kind", KINDS)
def test_outside_the_support_nothing_changes(scan, kind):
    image, brain = scan
    lesion = plant_lesion(image, brain, (2, 2, 2), kind, 4.0, 2.5, np.random.default_rng(2))
    changed = lesion.image != image
    assert not (changed & ~lesion.support).any()
    assert changed[lesion.mask].mean() > 0.95
    assert (lesion.support == lesion.mask).all() == (kind != "mass-effect")
    assert lesion.image.min() >= 0 and lesion.image.max() <= 1


@pytest.mark.parametrize(("kind", "sign"), [("bright", 1), ("dark", -1), ("atrophy", -1)])
def test_contrast_is_the_mean_change_in_local_deviations(scan, kind, sign):
    image, brain = scan
    lesion = plant_lesion(image, brain, (2, 2, 2), kind, 4.0, 1.7, np.random.default_rng(3))
    shell = brain & ~lesion.mask & (ndimage.distance_transform_edt(~lesion.mask, (2, 2, 2)) <= 10)
    change = (lesion.image - image)[lesion.mask].mean() / image[shell].std()
    assert change == pytest.approx(sign * 1.7, rel=0.02)


def test_a_textured_lesion_keeps_the_mean_and_changes_the_spread(scan):
    image, brain = scan
    lesion = plant_lesion(image, brain, (2, 2, 2), "textured", 10.0, 2.0, np.random.default_rng(4))
    change = (lesion.image - image)[lesion.mask]
    assert abs(change.mean()) < 0.25 * np.sqrt((change**2).mean())


def test_mass_effect_pushes_a_marker_away_from_the_core():
    image, brain = textured_brain((64, 64, 64))
    plain = np.where(brain, 0.4, 0).astype(np.float32)
    lesion = plant_lesion(plain, brain, (2, 2, 2), "mass-effect", 8.0, 2.0, np.random.default_rng(5))
    center = np.array(lesion.centroid_voxel)
    distance = np.linalg.norm(np.stack(np.indices(brain.shape), -1) - center, axis=-1)
    shell = (brain & (np.abs(distance - 9) < 1)).astype(np.float32)
    marked = plain + 0.4 * shell
    moved = plant_lesion(marked, brain, (2, 2, 2), "mass-effect", 8.0, 2.0, np.random.default_rng(5))
    assert np.allclose(moved.mask, lesion.mask)
    bright = (moved.image > 0.6) & ~moved.mask & brain
    deep = ndimage.binary_erosion(brain, iterations=6)
    assert distance[bright & deep].mean() > distance[(shell > 0) & deep].mean() + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_plants_the_same_lesion(scan, kind):
    image, brain = scan
    first, again, other = (
        plant_lesion(image, brain, (2, 2, 2), kind, 2.0, 2.0, np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    assert np.array_equal(first.image, again.image) and np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.mask, other.mask)


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_gets_the_great_circle(kind):
    image, brain = textured_brain((96, 80, 1))
    lesion = plant_lesion(image, brain, (2, 2, 2), kind, 5.0, 2.0, np.random.default_rng(9))
    radius_mm = (3 * 5000 / (4 * np.pi)) ** (1 / 3)
    assert abs(lesion.mask.sum() * 4 - np.pi * radius_mm**2) <= 2
    assert lesion.volume_ml == pytest.approx(5.0, rel=0.02)


def test_lesions_other_than_atrophy_are_one_piece(scan):
    image, brain = scan
    for seed in range(6):
        lesion = plant_lesion(image, brain, (2, 2, 2), "bright", 6.0, 2.0, np.random.default_rng(seed))
        pieces, n = ndimage.label(lesion.mask, np.ones((3, 3, 3)))
        assert np.bincount(pieces.ravel())[1:].max() >= 0.98 * lesion.mask.sum()


def test_a_contrast_that_does_not_fit_is_reported_as_reached():
    image, brain = textured_brain()
    saturated = np.where(brain, 1 - 0.05 * image, 0).astype(np.float32)
    lesion = plant_lesion(saturated, brain, (2, 2, 2), "bright", 2.0, 3.0, np.random.default_rng(0))
    assert lesion.contrast < 3.0 and lesion.image.max() <= 1


def test_wrong_requests_are_refused_with_a_sentence(scan):
    image, brain = scan
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="mass-effect"):
        plant_lesion(image, brain, (2, 2, 2), "tumor", 1.0, 2.0, rng)
    with pytest.raises(ValueError, match=r"\(I, J, 1\)"):
        plant_lesion(image[..., 0], brain[..., 0], (2, 2, 2), "bright", 1.0, 2.0, rng)
    with pytest.raises(ValueError, match="smaller lesion"):
        plant_lesion(image, brain, (0.5, 0.5, 0.5), "bright", 60.0, 2.0, rng)


def test_the_evaluation_set_is_fixed_and_covers_its_ranges():
    specs = planted_set(10)
    assert specs == planted_set(10) and specs != planted_set(10, seed=1)
    assert [s.kind for s in specs[:5]] == list(KINDS) and len(specs) == 50
    for kind in KINDS:
        volumes = sorted(s.volume_ml for s in specs if s.kind == kind)
        edges = np.exp(np.linspace(np.log(0.05), np.log(60), 11))
        assert all(low <= v <= high for low, v, high in zip(edges[:-1], volumes, edges[1:], strict=True))
        assert all(1 <= s.contrast <= 3 for s in specs)


def test_planting_a_spec_gives_what_it_says(scan):
    image, brain = scan
    spec = planted_set(3)[1]
    lesion = plant(spec, image, brain, (2, 2, 2))
    assert lesion.kind == spec.kind == "dark"
    assert abs(lesion.volume_ml - spec.volume_ml) <= 0.004 + 1e-9
