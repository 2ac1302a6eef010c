"""However a scan lies, its voxels stay where they are in the patient. nibabel is the independent route."""

import nibabel as nib
import numpy as np
import pytest
from builders import GEOMETRIES, affine_of, phantom, world_of
from nibabel.processing import resample_from_to
from scipy.spatial.transform import Rotation

from neurogen.volumes import Volume, load_volume, reorient_to_ras, resample_to, same_grid, save_volume

WORKING_SHAPE = (80, 96, 80)
WORKING_AFFINE = affine_of(WORKING_SHAPE, (2, 2, 2))


@pytest.fixture(params=GEOMETRIES, ids=str, scope="module")
def scan(request) -> Volume:
    shape, affine = GEOMETRIES[request.param]
    return phantom(shape, affine, noise=0.02, rng=np.random.default_rng(0))[0]


def as_nibabel(volume: Volume) -> nib.Nifti1Image:
    return nib.Nifti1Image(volume.array, volume.affine)


def rigid(degrees: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    transform[:3, 3] = shift_mm
    return transform


def test_reorienting_agrees_with_nibabel(scan):
    ours, theirs = reorient_to_ras(scan), nib.as_closest_canonical(as_nibabel(scan))
    np.testing.assert_array_equal(ours.array, theirs.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-9)
    assert nib.aff2axcodes(ours.affine) == ("R", "A", "S")


def test_reorienting_moves_no_voxel(scan):
    """The brightest voxel is at the same RAS place before and after."""
    for volume in (scan, reorient_to_ras(scan)):
        peak = np.unravel_index(volume.array.argmax(), volume.shape)
        place = volume.affine @ [*peak, 1]
        expected = scan.affine @ [*np.unravel_index(scan.array.argmax(), scan.shape), 1]
        np.testing.assert_allclose(place, expected, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_resampling_agrees_with_nibabel(scan, order):
    ours = resample_to(scan, WORKING_SHAPE, WORKING_AFFINE, order=order)
    theirs = resample_from_to(as_nibabel(scan), (WORKING_SHAPE, WORKING_AFFINE), order=order, mode="grid-constant")
    same = np.isclose(ours.array, theirs.get_fdata(), atol=1e-4)
    # Nearest neighbors differ where a point lies half way between two voxels.
    assert same.mean() > (0.97 if order == 0 else 0.9999)


def test_resampling_to_the_own_grid_changes_nothing(scan):
    for order in (0, 1):
        np.testing.assert_allclose(resample_to(scan, scan.shape, scan.affine, order=order).array, scan.array, atol=1e-4)


def test_result_on_the_working_grid_comes_back_to_the_scan(scan):
    """A marked ball on the working grid lies at the same RAS place on the grid of the scan."""
    center = np.array([-22.0, 14.0, 20.0])
    ball = np.linalg.norm(world_of(WORKING_SHAPE, WORKING_AFFINE) - center[:, None, None, None], axis=0) < 12
    native = resample_to(Volume(ball.astype(np.float32), WORKING_AFFINE), scan.shape, scan.affine)
    found = (world_of(scan.shape, scan.affine) * native.array).sum((1, 2, 3)) / native.array.sum()
    np.testing.assert_allclose(found, center, atol=1.0)


def test_phantom_lands_where_it_is_drawn(scan):
    """Drawing the phantom on the other grid is the truth; interpolation comes close inside the field of view."""
    drawn = phantom(WORKING_SHAPE, WORKING_AFFINE)[0].array
    inside = resample_to(scan.with_array(np.ones(scan.shape, np.float32)), WORKING_SHAPE, WORKING_AFFINE).array > 0.999
    sampled = resample_to(scan, WORKING_SHAPE, WORKING_AFFINE).array
    assert np.corrcoef(drawn[inside], sampled[inside])[0, 1] > 0.97


def test_saved_scan_comes_back_on_its_own_grid(scan, tmp_path):
    save_volume(scan, tmp_path / "scan.nii.gz")
    loaded = load_volume(tmp_path / "scan.nii.gz")
    assert same_grid(loaded, scan)
    np.testing.assert_array_equal(loaded.array, scan.array)


def test_transform_takes_the_new_world_to_the_world_of_the_volume():
    """A patient who lies 10 mm further right: reading at p must look up p + 10 mm."""
    scan = phantom(WORKING_SHAPE, WORKING_AFFINE)[0]
    shifted = resample_to(scan, WORKING_SHAPE, WORKING_AFFINE, transform=rigid((0, 0, 0), (10, 0, 0)))
    np.testing.assert_allclose(shifted.array[:-5], scan.array[5:], atol=1e-5)


def test_transform_and_its_inverse_cancel():
    scan = phantom(WORKING_SHAPE, WORKING_AFFINE)[0]
    there = rigid((7, -5, 11), (4, -6, 3))
    moved = resample_to(scan, WORKING_SHAPE, WORKING_AFFINE, transform=there)
    back = resample_to(moved, WORKING_SHAPE, WORKING_AFFINE, transform=np.linalg.inv(there))
    core = (slice(15, -15),) * 3
    assert np.abs(back.array - scan.array)[core].mean() < 0.01
    assert np.abs(moved.array - scan.array)[core].mean() > 0.03


def test_moving_the_affine_equals_giving_the_transform():
    scan = phantom(WORKING_SHAPE, WORKING_AFFINE)[0]
    transform = rigid((7, -5, 11), (4, -6, 3))
    given = resample_to(scan, WORKING_SHAPE, WORKING_AFFINE, transform=transform)
    moved = Volume(scan.array, np.linalg.inv(transform) @ scan.affine)
    np.testing.assert_allclose(resample_to(moved, WORKING_SHAPE, WORKING_AFFINE).array, given.array, atol=1e-5)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32])
def test_nearest_neighbor_keeps_labels_and_their_dtype(dtype):
    labels = Volume((np.arange(4 * 5 * 6).reshape(4, 5, 6) % 3).astype(dtype), np.diag([2.0, 2.0, 2.0, 1.0]))
    fine = resample_to(labels, (8, 10, 12), affine_of((8, 10, 12), (1, 1, 1), center=(3, 4, 5)), order=0)
    assert fine.array.dtype == dtype
    np.testing.assert_array_equal(fine.array, labels.array.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_outside_the_field_of_view_is_zero():
    ones = Volume(np.ones((4, 4, 4), np.float32), np.eye(4))
    wide = resample_to(ones, (12, 12, 12), affine_of((12, 12, 12), (1, 1, 1), center=(1.5, 1.5, 1.5)))
    assert wide.array.sum() == pytest.approx(64)
    assert wide.array[4:8, 4:8, 4:8].min() == pytest.approx(1)


def test_other_interpolation_orders_are_a_mistake():
    with pytest.raises(ValueError, match="order is 0"):
        resample_to(Volume(np.ones((4, 4, 4)), np.eye(4)), (4, 4, 4), np.eye(4), order=3)
