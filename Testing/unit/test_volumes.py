"""Files of every accepted format come back as the same voxels at the same place in the patient."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from builders import GEOMETRIES, affine_of, phantom, write_dicom_series

from neurogen.affines import voxel_volume_ml
from neurogen.volumes import Volume, load_volume, save_volume

SHAPE = (12, 14, 10)
OBLIQUE = affine_of(SHAPE, (1.0, 1.5, 3.0), axes="LAS", tilt_degrees=(10, 20, -15), center=(4, -7, 12))


@pytest.fixture
def scan() -> Volume:
    values = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    return Volume(values, OBLIQUE)


def write_itk(volume: Volume, path) -> None:
    """Through SimpleITK alone: world is LPS, arrays are (K, J, I)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    flip = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(spacing.tolist())
    image.SetDirection((flip @ volume.affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((flip @ volume.affine[:3, 3]).tolist())
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"])
def test_every_format_gives_the_same_voxels_at_the_same_place(scan, tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write_itk(scan, path)
    loaded = load_volume(path)
    assert loaded.array.dtype == np.float32
    np.testing.assert_array_equal(loaded.array, scan.array)
    np.testing.assert_allclose(loaded.affine, OBLIQUE, atol=1e-4)


def test_dicom_folder_gives_the_same_voxels_at_the_same_place(scan, tmp_path):
    write_dicom_series(scan, tmp_path, {"SeriesDescription": "t1_mprage", "EchoTime": "2.9", "PatientAge": "045Y"})
    loaded = load_volume(tmp_path)
    order = load_order(loaded.affine, OBLIQUE)
    np.testing.assert_array_equal(loaded.array[:, :, ::order], scan.array)
    assert loaded.facts["SeriesDescription"] == "t1_mprage"
    assert loaded.facts["EchoTime"] == "2.9"
    assert loaded.facts["PatientAge"] == "045Y"
    assert "DOE^JANE" not in str(loaded.facts)


def load_order(affine: np.ndarray, expected: np.ndarray) -> int:
    """1 or -1: readers may stack the slices from either end; the voxels must then lie accordingly."""
    direction = int(np.sign(affine[:3, 2] @ expected[:3, 2]))
    if direction < 0:
        expected = expected.copy()
        expected[:3, 3] += expected[:3, 2] * (SHAPE[2] - 1)
        expected[:3, 2] *= -1
    np.testing.assert_allclose(affine, expected, atol=1e-3)
    return direction


def test_folder_with_two_series_gives_the_longer_one(scan, tmp_path):
    short = Volume(scan.array[:, :, :3], scan.affine)
    write_dicom_series(short, tmp_path, {"SeriesDescription": "localizer"}, uid="1.2.3.1")
    write_dicom_series(scan, tmp_path, {"SeriesDescription": "t1"}, uid="1.2.3.2")
    loaded = load_volume(tmp_path)
    assert loaded.shape == SHAPE
    assert loaded.facts["SeriesDescription"] == "t1"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_saving_keeps_values_dtype_and_affine(tmp_path, dtype):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    save_volume(Volume(array, OBLIQUE), tmp_path / "saved.nii.gz")
    image = nib.load(tmp_path / "saved.nii.gz")
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), array)
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), OBLIQUE, atol=1e-4)


def test_masks_are_saved_as_bytes_and_come_back_as_labels(tmp_path):
    mask = np.random.default_rng(1).random(SHAPE) > 0.5
    save_volume(Volume(mask, OBLIQUE), tmp_path / "mask.nii.gz")
    loaded = load_volume(tmp_path / "mask.nii.gz", as_labels=True)
    assert loaded.array.dtype == np.uint8
    np.testing.assert_array_equal(loaded.array > 0, mask)


def test_labels_stored_as_float_become_integers(tmp_path):
    save_volume(Volume(np.full(SHAPE, 17, np.float32), OBLIQUE), tmp_path / "labels.nii.gz")
    loaded = load_volume(tmp_path / "labels.nii.gz", as_labels=True)
    assert loaded.array.dtype.kind == "i"
    assert (loaded.array == 17).all()


def test_saving_twice_gives_the_same_bytes(scan, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_volume(scan, tmp_path / folder / "scan.nii.gz")
    assert (tmp_path / "a" / "scan.nii.gz").read_bytes() == (tmp_path / "b" / "scan.nii.gz").read_bytes()


def test_sheared_affine_is_kept_exactly(tmp_path):
    sheared = OBLIQUE.copy()
    sheared[:3, 2] += 0.3 * sheared[:3, 0]
    save_volume(Volume(np.ones(SHAPE, np.int16), sheared), tmp_path / "s.nii.gz")
    np.testing.assert_allclose(load_volume(tmp_path / "s.nii.gz", as_labels=True).affine, sheared, atol=1e-5)


def test_facts_hold_name_hash_and_the_sidecar_in_dicom_units(scan, tmp_path):
    path = tmp_path / "sub-01_T1w.nii.gz"
    save_volume(scan, path)
    sidecar = {"EchoTime": 0.00293, "RepetitionTime": 2.3, "Modality": "MR", "PatientName": "DOE^JANE"}
    (tmp_path / "sub-01_T1w.json").write_text(json.dumps(sidecar))
    facts = load_volume(path).facts
    assert facts["name"] == "sub-01_T1w.nii.gz"
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts["EchoTime"], facts["RepetitionTime"], facts["Modality"]) == ("2.93", "2300", "MR")
    assert "DOE" not in str(facts)


def test_broken_sidecar_is_told_not_fatal(scan, tmp_path):
    save_volume(scan, tmp_path / "scan.nii.gz")
    (tmp_path / "scan.json").write_text("{not json")
    assert "scan.json" in load_volume(tmp_path / "scan.nii.gz").facts["sidecar_warning"]


def test_series_of_one_volume_is_squeezed(scan, tmp_path):
    nib.save(nib.Nifti1Image(scan.array[..., None], OBLIQUE), tmp_path / "one_frame.nii.gz")
    np.testing.assert_array_equal(load_volume(tmp_path / "one_frame.nii.gz").array, scan.array)


def test_disagreeing_forms_are_told_and_the_sform_is_used(scan, tmp_path):
    image = nib.Nifti1Image(scan.array, OBLIQUE)
    image.set_sform(OBLIQUE, 1)
    image.set_qform(affine_of(SHAPE, (1.0, 1.5, 3.0), center=(40, 0, 0)), 1)
    nib.save(image, tmp_path / "scan.nii.gz")
    loaded = load_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_allclose(loaded.affine, OBLIQUE, atol=1e-5)
    assert "sform" in loaded.facts["affine_warning"]


def test_qform_alone_places_the_scan(scan, tmp_path):
    image = nib.Nifti1Image(scan.array, None)
    image.set_qform(OBLIQUE, 1)
    nib.save(image, tmp_path / "scan.nii.gz")
    np.testing.assert_allclose(load_volume(tmp_path / "scan.nii.gz").affine, OBLIQUE, atol=1e-4)


def test_single_slice_is_read_where_it_is_asked_for(scan, tmp_path):
    save_volume(Volume(scan.array[:, :, :1], OBLIQUE), tmp_path / "slice.nii.gz")
    assert load_volume(tmp_path / "slice.nii.gz", allow_single_slice=True).shape == (12, 14, 1)


def test_voxel_volume_counts_milliliters_on_every_grid():
    """The phantom's brain has the same volume however it is sampled; cropped grids hold less of it."""
    for name, (shape, affine) in GEOMETRIES.items():
        brain = phantom(shape, affine)[1]
        ml = brain.array.sum() * voxel_volume_ml(affine)
        expected = 4 / 3 * np.pi * 65 * 82 * 60 / 1000
        assert ml == pytest.approx(expected, rel=0.01) or name == "cropped"
