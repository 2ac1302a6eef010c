"""Region features: the definition written out, shapes with known answers, invariances, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from builders import VOXEL_ML, as_head, blobs
from scipy import ndimage

from neurogen.brain_age.features import region_features
from neurogen.brain_age.label_check import check_labels
from neurogen.brain_age.regions import FEATURE_NAMES, LABELS, REGIONS, name_of_feature, region_of
from neurogen.brain_age.resampling import resample_labels, restore_surfaces
from neurogen.errors import InputRefused
from neurogen.volumes import Volume, load_volume

ASEG = np.array([0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28, 41, 42, 43, 46, 47, 49, 50, 51])


@pytest.fixture(scope="module")
def pattern() -> np.ndarray:
    return blobs()


def test_equals_the_definition(pattern):
    """RV and SVR written out: erosion by a full 3x3x3 cube, all labels but 0 and 84 counted."""
    found = region_features(pattern, voxel_ml=VOXEL_ML)
    masks = [pattern == label for label in LABELS]
    size = np.array([mask.sum() for mask in masks])
    interior = np.array([ndimage.binary_erosion(mask, np.ones((3, 3, 3))).sum() for mask in masks])
    np.testing.assert_allclose(found.relational_volume, size / np.isin(pattern, LABELS).sum())
    np.testing.assert_allclose(found.surface_to_volume_ratio, (size - interior) / size)
    np.testing.assert_allclose(found.volume_ml, size * VOXEL_ML)
    assert found.relational_volume.sum() == pytest.approx(1)


def test_a_newborns_head_takes_little_memory():
    """290 x 290 x 203 voxels, as the dHCP's: below 1 GiB (a half of it measured), in one pass."""
    labels = np.zeros((290, 290, 203), np.uint8)
    labels[20:-20, 20:-20, 20:-20] = np.arange(1, 251)[:, None, None] % 88
    tracemalloc.start()
    region_features(labels, voxel_ml=VOXEL_ML, regions=[1, 87])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * 2**30


def test_label_84_is_as_good_as_absent(pattern):
    without = np.where(pattern == 84, 0, pattern)
    assert np.array_equal(region_features(pattern, voxel_ml=1).vector(), region_features(without, voxel_ml=1).vector())


def test_a_cube_and_its_neighbor_have_known_ratios():
    """A cube of side n has n^3 - (n - 2)^3 surface voxels; a single voxel is all surface."""
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:12, 3:13, 4:14], labels[15, 15, 15] = 1, 2
    found = region_features(labels, voxel_ml=1, regions=(1, 2))
    np.testing.assert_allclose(found.surface_to_volume_ratio, [(1000 - 512) / 1000, 1])
    np.testing.assert_allclose(found.relational_volume, [1000 / 1001, 1 / 1001])


def test_a_sphere_has_the_ratio_of_its_surface():
    """The 26-neighborhood peels about 1.5 voxels' worth of a sphere's area 4 pi r^2: SVR near 4.5 / r."""
    radius = 30
    grid = np.indices((70, 70, 70)) - 35
    sphere = ((grid**2).sum(axis=0) <= radius**2).astype(np.uint8)
    found = region_features(sphere, voxel_ml=1, regions=(1,))
    assert found.volume_ml[0] == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    assert 3.0 / radius < found.surface_to_volume_ratio[0] < 5.2 / radius


def test_the_border_of_the_volume_is_surface():
    labels = np.ones((5, 5, 5), np.uint8)
    assert region_features(labels, voxel_ml=1, regions=(1,)).surface_to_volume_ratio[0] == (125 - 27) / 125


@pytest.mark.parametrize("turn", [lambda a: a[::-1], lambda a: a[:, ::-1, ::-1], lambda a: a.transpose(2, 0, 1)])
def test_flips_and_permutations_change_nothing(pattern, turn):
    expected, found = region_features(pattern, voxel_ml=1), region_features(turn(pattern), voxel_ml=1)
    assert np.array_equal(expected.vector(), found.vector())


def test_an_absent_region_is_named(pattern):
    with pytest.raises(ValueError, match=r"\[17\] are absent"):
        region_features(np.where(pattern == 17, 0, pattern), voxel_ml=1)


def test_the_scheme_has_86_regions_in_pairs():
    assert len(REGIONS) == 86 and set(LABELS) == set(range(1, 88)) - {84}
    sides = {side: {(r.structure, r.tissue) for r in REGIONS if r.side == side} for side in ("left", "right")}
    assert sides["left"] == sides["right"] and len(sides["left"]) == 41
    assert region_of(79).name == "frontal lobe WM, right"
    assert len(set(FEATURE_NAMES)) == 172 and name_of_feature("rv_19") == "RV of brainstem"


def test_names_agree_with_the_atlas(shared_data):
    for line in (shared_data / "fetal_atlas_87_regions" / "all_labels.csv").read_text().splitlines():
        label, name = line.split("\t")
        if int(label) != 84:
            region = region_of(int(label))
            assert region.side in name and (region.tissue not in ("GM", "WM") or region.tissue in name)


def test_the_head_is_accepted(pattern):
    check_labels(as_head(pattern))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda a: a * 0, "empty"),
        (lambda a: (a > 0).astype(np.uint8), "mask"),
        (lambda a: a % 9 + 1, "tissue map"),
        (lambda a: a + 1000 * (a > 0), "another scheme"),
        (lambda a: np.arange(a.size).reshape(a.shape) % 256, "image"),
        (lambda a: ASEG[a % len(ASEG)], "FreeSurfer"),
        (lambda a: np.where(a == 48, 0, a), r"48 \(corpus callosum\)"),
        (lambda a: a.astype(np.int16) - 5, "negative"),
        (lambda a: a[::3, ::3, ::3], "ml"),
        (lambda a: a.astype(np.float32), "whole numbers"),
    ],
)
def test_wrong_label_maps_are_refused(pattern, spoil, reason):
    head = as_head(pattern)
    with pytest.raises(InputRefused, match=reason):
        check_labels(Volume(spoil(head.array), head.affine))


def test_the_scheme_is_named_before_the_spacing(pattern):
    with pytest.raises(InputRefused, match="FreeSurfer"):
        check_labels(Volume(ASEG[pattern % len(ASEG)], np.eye(4)))


@pytest.mark.parametrize("spacing", [2.0, 0.9])
def test_coarse_maps_are_refused(pattern, spacing):
    with pytest.raises(InputRefused, match=r"0\.8 mm"):
        check_labels(Volume(pattern, np.diag([spacing] * 3 + [1.0])))


def test_resampling_keeps_place_and_volume(pattern):
    coarse = Volume(pattern, np.diag([-0.8, 0.8, 0.8, 1.0]))
    fine = resample_labels(coarse, 0.5)
    assert fine.spacing_mm == pytest.approx((0.5, 0.5, 0.5))
    for label in (1, 40, 87):
        centers = [v.affine[:3, :3] @ np.argwhere(v.array == label).mean(0) + v.affine[:3, 3] for v in (coarse, fine)]
        assert np.linalg.norm(centers[0] - centers[1]) < 0.4
    before = region_features(coarse.array, voxel_ml=0.000512).volume_ml
    after = region_features(fine.array, voxel_ml=VOXEL_ML).volume_ml
    np.testing.assert_allclose(after, before, rtol=0.12)


def test_restored_surfaces_stay_ratios(pattern):
    features = region_features(pattern, voxel_ml=1)
    restored = restore_surfaces(features).surface_to_volume_ratio
    assert (restored > features.surface_to_volume_ratio).all() and restored.max() <= 1


def test_to_08_mm_and_back_moves_the_age_little(shared_data):
    """The atlas at 0.5 mm, read at 0.8 mm and taken back: below 0.3 week."""
    from neurogen.brain_age.age_model import load_age_model
    from neurogen.models import ModelStore

    model = load_age_model(ModelStore().get("neonatal-age"))
    atlas = load_volume(shared_data / "fetal_atlas_87_regions" / "week_36_regions.nii.gz", as_labels=True)
    fine = resample_labels(atlas, 0.5)
    back = resample_labels(resample_labels(fine, 0.8), 0.5)
    vectors = [region_features(fine.array, voxel_ml=VOXEL_ML), region_features(back.array, voxel_ml=VOXEL_ML)]
    ages = model.regressor.predict(np.array([vectors[0].vector(), restore_surfaces(vectors[1]).vector()]))
    assert abs(ages[1] - ages[0]) < 0.3
