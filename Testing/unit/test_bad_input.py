"""Every unusable input is refused with a sentence that says what was given, and nothing is written."""

import os
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from builders import write_dicom_series

from neurogen.errors import InputRefused
from neurogen.volumes import Volume, check_mask, load_volume, save_volume

SHAPE = (12, 14, 10)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)


def nifti(path, array, affine=AFFINE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def not_an_image(folder):
    path = folder / "letter.nii.gz"
    path.write_text("Dear colleague, please find the scan attached.")
    return path


def other_format(folder):
    path = folder / "picture.png"
    path.write_bytes(b"\x89PNG\r\n")
    return path


def truncated(folder):
    path = nifti(folder / "cut.nii.gz", values())
    path.write_bytes(path.read_bytes()[:-300])
    return path


def damaged(folder):
    path = nifti(folder / "damaged.nii.gz", values())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def damaged_header(folder):
    path = nifti(folder / "header.nii", values())
    content = bytearray(path.read_bytes())
    content[70:72] = (222, 0)  # a data type that does not exist
    path.write_bytes(content)
    return path


def truncated_nrrd(folder):
    path = folder / "cut.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(values()), str(path))
    path.write_bytes(path.read_bytes()[:-300])
    return path


def empty(folder):
    path = folder / "empty.nii.gz"
    path.touch()
    return path


def four_dimensions(folder):
    return nifti(folder / "series.nii.gz", np.stack([values(), values()], axis=-1))


def constant(folder):
    return nifti(folder / "constant.nii.gz", np.full(SHAPE, 7, np.int16))


def not_a_number(folder):
    array = values().astype(np.float32)
    array[3, 4, 5] = np.nan
    return nifti(folder / "nan.nii.gz", array)


def infinite(folder):
    array = values().astype(np.float32)
    array[3, 4, 5] = -np.inf
    return nifti(folder / "inf.nii.gz", array)


def all_negative(folder):
    return nifti(folder / "negative.nii.gz", -1 - values())


def without_affine(folder):
    return nifti(folder / "nowhere.nii.gz", values(), None)


def singular_affine(folder):
    image = nib.Nifti1Image(values(), None)
    image.header.set_sform(np.diag([2.0, 0.0, 2.0, 1.0]), code=1)
    nib.save(image, folder / "flat.nii.gz")
    return folder / "flat.nii.gz"


def not_finite_affine(folder):
    image = nib.Nifti1Image(values(), None)
    image.header["sform_code"] = 1
    image.header["srow_x"] = [np.nan, 0, 0, 0]
    image.header["srow_y"], image.header["srow_z"] = [0, 2, 0, 0], [0, 0, 2, 0]
    path = folder / "nan_affine.nii"
    path.write_bytes(image.header.binaryblock + bytes(4) + values().tobytes(order="F"))
    return path


def in_meters(folder):
    return nifti(folder / "meters.nii.gz", values(), np.diag([0.002, 0.002, 0.002, 1.0]))


def single_slice(folder):
    return nifti(folder / "slice.nii.gz", values()[:, :, :1])


def two_dimensions(folder):
    return nifti(folder / "plane.nii.gz", values()[:, :, 0])


def huge_header(folder):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((3000, 3000, 3000))
    header.set_sform(AFFINE, code=1)
    path = folder / "huge.nii"
    path.write_bytes(header.binaryblock + bytes(4))
    return path


def huge_nrrd(folder):
    path = folder / "huge.nrrd"
    path.write_text(
        "NRRD0004\ntype: double\ndimension: 3\nspace: left-posterior-superior\nsizes: 3000 3000 3000\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    return path


def huge_metaimage(folder):
    path = folder / "huge.mha"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        "ElementSpacing = 1 1 1\nDimSize = 3000 3000 3000\nElementType = MET_DOUBLE\nElementDataFile = LOCAL\n"
    )
    return path


def huge_dicom(folder):
    """Every slice claims 30000 rows and columns (tags 0028,0010 and 0028,0011)."""
    write_dicom_series(Volume(values(), AFFINE), folder, {})
    for file in folder.glob("*.dcm"):
        content = bytearray(file.read_bytes())
        for tag in (b"\x28\x00\x10\x00\x02\x00\x00\x00", b"\x28\x00\x11\x00\x02\x00\x00\x00"):
            place = content.index(tag) + len(tag)
            content[place : place + 2] = (30000).to_bytes(2, "little")
        file.write_bytes(content)
    return folder


def singular_metaimage(folder):
    path = folder / "flat.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(values()), str(path))
    path.write_text(path.read_text().replace("1 0 0 0 1 0 0 0 1", "1 0 0 0 0 0 0 0 1"))
    return path


def singular_nrrd(folder):
    path = folder / "flat.nrrd"
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 12 14 10\n"
        "space directions: (1,0,0) (0,0,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(header.encode() + values().tobytes())
    return path


def four_dimensional_nrrd(folder):
    path = folder / "series.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([values()] * 2), isVector=False), str(path))
    return path


def metaimage_without_voxels(folder):
    path = folder / "alone.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(values()), str(path))
    path.with_suffix(".raw").unlink()
    return path


def color(folder):
    pixels = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    pixels["R"] = values() % 255
    return nifti(folder / "color.nii.gz", pixels)


def color_nrrd(folder):
    path = folder / "color.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([values()] * 3, axis=-1), isVector=True), str(path))
    return path


def complex_numbers(folder):
    return nifti(folder / "complex.nii.gz", values().astype(np.complex64))


def nrrd_without_space(folder):
    path = folder / "unplaced.nrrd"
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 12 14 10\nendian: little\nencoding: raw\n\n"
    path.write_bytes(header.encode() + values().tobytes())
    return path


def absent(folder):
    return folder / "absent.nii.gz"


def folder_without_dicom(folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "notes.txt").write_text("nothing here")
    return folder / "notes"


def dicom_with_a_gap(folder):
    write_dicom_series(Volume(values(), AFFINE), folder, {})
    sorted(folder.glob("*.dcm"))[4].unlink()
    return folder


def dicom_with_two_volumes(folder):
    write_dicom_series(Volume(values(), AFFINE), folder, {})
    for file in sorted(folder.glob("*.dcm")):
        image = sitk.ReadImage(str(file))
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        image.SetMetaData("0008|0018", image.GetMetaData("0008|0018") + ".2")
        writer.SetFileName(str(file.with_name("second_" + file.name)))
        writer.Execute(image)
    return folder


def dicom_with_a_truncated_slice(folder):
    write_dicom_series(Volume(values(), AFFINE), folder, {})
    file = sorted(folder.glob("*.dcm"))[4]
    file.write_bytes(file.read_bytes()[:-150])
    return folder


REFUSALS = [
    (not_an_image, "letter.nii.gz is not a whole, valid image"),
    (other_format, "picture.png is no image format known here"),
    (truncated, "cut.nii.gz is not a whole, valid image"),
    (damaged, "damaged.nii.gz is not a whole, valid image"),
    (damaged_header, "header.nii is not a whole, valid image"),
    (truncated_nrrd, "cut.nrrd is not a whole, valid image"),
    (empty, "empty.nii.gz is an empty file"),
    (four_dimensions, "has 4 dimensions .12 x 14 x 10 x 2."),
    (constant, "same value .7. in every voxel"),
    (not_a_number, "1 values that are not numbers"),
    (infinite, "1 values that are not numbers"),
    (all_negative, "no positive intensity"),
    (without_affine, "neither a valid sform nor a valid qform"),
    (singular_affine, "affine of flat.nii.gz is singular"),
    (not_finite_affine, "singular or not finite"),
    (in_meters, "voxels of 0.002 x 0.002 x 0.002 mm"),
    (single_slice, "is a single slice .12 x 14 x 1 voxels."),
    (two_dimensions, "is a single slice"),
    (huge_header, "claims 3000 x 3000 x 3000 voxels"),
    (huge_nrrd, "claims 3000 x 3000 x 3000 voxels"),
    (huge_metaimage, "claims 3000 x 3000 x 3000 voxels"),
    (huge_dicom, "claims 30000 x 30000 x 1 voxels"),
    (singular_metaimage, "affine of flat.mhd is singular"),
    (singular_nrrd, "affine of flat.nrrd is singular"),
    (four_dimensional_nrrd, "has 4 dimensions .10 x 14 x 12 x 2."),
    (metaimage_without_voxels, "alone.mhd is not a whole, valid image"),
    (color, "3 values a voxel"),
    (color_nrrd, "3 values a voxel"),
    (complex_numbers, "complex numbers"),
    (nrrd_without_space, "does not say how it lies in the patient"),
    (absent, "There is no .*absent.nii.gz"),
    (folder_without_dicom, "notes holds no DICOM images"),
    (dicom_with_a_gap, "slices 4 and 5 are 4.00 mm apart, the others 2.00 mm"),
    (dicom_with_two_volumes, "several slices at the same place"),
    (dicom_with_a_truncated_slice, "slices 4 and 5 are 4.00 mm apart"),
]


@pytest.mark.parametrize(("build", "message"), REFUSALS, ids=lambda value: getattr(value, "__name__", ""))
def test_refused_with_a_sentence_and_nothing_written(tmp_path, build, message):
    path = build(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputRefused, match=message) as refusal:
        load_volume(path)
    assert refusal.value.exit_code == 3
    assert str(refusal.value).endswith(".")
    assert sorted(tmp_path.rglob("*")) == before


def test_huge_header_is_refused_before_allocation(tmp_path):
    path = huge_header(tmp_path)
    tracemalloc.start()
    with pytest.raises(InputRefused):
        load_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_library_error_stays_visible_as_the_cause(tmp_path):
    with pytest.raises(InputRefused) as refusal:
        load_volume(truncated(tmp_path))
    assert isinstance(refusal.value.__cause__, EOFError)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user who can be denied")
def test_unreadable_file_is_refused(tmp_path):
    path = nifti(tmp_path / "secret.nii.gz", values())
    path.chmod(0)
    with pytest.raises(InputRefused, match="cannot be opened"):
        load_volume(path)


def test_folder_named_like_a_file_is_searched_for_dicom(tmp_path):
    (tmp_path / "scan.nii.gz").mkdir()
    with pytest.raises(InputRefused, match="holds no DICOM images"):
        load_volume(tmp_path / "scan.nii.gz")


def test_labels_must_be_whole_numbers(tmp_path):
    path = nifti(tmp_path / "soft.nii.gz", np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(InputRefused, match="not whole numbers"):
        load_volume(path, as_labels=True)


def test_mask_on_another_grid_is_refused():
    image = Volume(values(), AFFINE)
    moved = AFFINE.copy()
    moved[0, 3] += 1
    with pytest.raises(InputRefused, match="same grid"):
        check_mask(Volume(values() > 5, moved), image)
    with pytest.raises(InputRefused, match="12 x 14 x 9"):
        check_mask(Volume(values()[:, :, :9] > 5, AFFINE), image)


def test_empty_mask_is_refused():
    with pytest.raises(InputRefused, match="mask is empty"):
        check_mask(Volume(np.zeros(SHAPE, np.uint8), AFFINE), Volume(values(), AFFINE))


def test_mask_rounded_by_another_program_is_accepted():
    rounded = AFFINE + 1e-5
    rounded[3] = AFFINE[3]
    mask = check_mask(Volume(values(), rounded), Volume(values(), AFFINE))
    np.testing.assert_array_equal(mask, values() > 0)


def test_unwritable_place_is_refused_and_leaves_no_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputRefused, match="could not be written"):
        save_volume(Volume(values(), AFFINE), tmp_path / "file" / "scan.nii.gz")


def test_full_disk_is_refused_and_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource", reason="needs a system that can limit the size of files")
    path = tmp_path / "scan.nii.gz"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputRefused, match="could not be written"):
            save_volume(Volume(values(), AFFINE), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["scan.nii.gz"]
    assert path.read_text(encoding="utf-8") == "old"
