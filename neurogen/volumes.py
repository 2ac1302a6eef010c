"""Scans in memory: an array, where its voxels lie in the patient, and what its file said about it.

Every array is (I, J, K); `affine` (4, 4) takes voxel indices to RAS millimeters: x to the patient's right, y anterior,
z superior. This module and its readers (`readers.py`, `dicom.py`) are the only places that touch image files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from neurogen.affines import spacing_mm
from neurogen.dicom import read_folder
from neurogen.errors import InputRefused
from neurogen.readers import ACCEPTED_FORMATS, Scan, describe_shape, read_itk, read_nifti, refuse_unreadable

GRID_TOLERANCE_MM = 0.01  # two grids are one when no corner differs by more
LARGEST_SHEAR = 1e-4  # cosine between voxel axes above which NIfTI's quaternion cannot hold the affine


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan, mask or label map.

    array : (I, J, K)
    affine : (4, 4) float64, voxel index -> RAS mm
    facts : what the file said: `name`, `sha256`, `description`, DICOM tags by keyword; `*_warning` for doubts
    """

    array: np.ndarray
    affine: np.ndarray
    facts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if self.array.ndim != 3 or affine.shape != (4, 4):
            raise ValueError(f"A volume needs (I, J, K) and (4, 4), not {self.array.shape} and {affine.shape}.")
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.array.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return spacing_mm(self.affine)

    def with_array(self, array: np.ndarray) -> "Volume":
        """Other values on the same grid."""
        if array.shape != self.shape:
            raise ValueError(f"An array of shape {array.shape} does not fit a grid of {self.shape}.")
        return replace(self, array=array)


def load_volume(path: str | Path, *, as_labels: bool = False, allow_single_slice: bool = False) -> Volume:
    """Read NIfTI, NRRD, MetaImage or a folder with one DICOM series.

    Images come as float32 and must hold finite values, some of them positive and not all alike. With `as_labels` the
    integers of the file are kept and an empty map is accepted. Raises InputRefused.
    """
    path = Path(path)
    scan = _scan(path, allow_single_slice=allow_single_slice)
    array = _as_labels(scan, path) if as_labels else _as_image(scan, path)
    return Volume(array, scan.affine, scan.facts)


def load_whole_numbers(path: str | Path) -> Volume | None:
    """As `load_volume(path, as_labels=True)`, but None where a value is no whole number: then it is an image."""
    path = Path(path)
    scan = _scan(path, allow_single_slice=False)
    if scan.array.dtype.kind not in "iu" and not (scan.array == np.rint(scan.array)).all():
        return None
    return Volume(_as_labels(scan, path), scan.affine, scan.facts)


def _scan(path: Path, *, allow_single_slice: bool) -> Scan:
    scan = _reader(path)(path)
    if min(scan.array.shape) == 1 and not allow_single_slice:
        raise InputRefused(
            f"{path.name} is a single slice ({describe_shape(scan.array.shape)} voxels), but a whole volume is needed: "
            "a single slice cannot be placed in the brain. Give all slices of the series as one volume."
        )
    return scan


def save_volume(volume: Volume, path: str | Path) -> None:
    """Write NIfTI (`.nii.gz` or `.nii`) with the dtype of the array; boolean becomes uint8, int64 becomes int32.

    The same volume gives the same bytes, and the file appears when it is whole. Raises InputRefused where it cannot be
    written.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"Volumes are written as .nii.gz or .nii, not as {path.name}.")
    image = nib.Nifti1Image(_storable(volume.array), volume.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=0 if _is_sheared(volume.affine) else 1)
    part = path.with_name(f".part-{path.name}")
    try:
        nib.save(image, part)
        part.replace(path)
    except OSError as error:
        if part.exists():
            part.unlink()
        raise InputRefused(
            f"{path} could not be written: {error.strerror or error}. A folder with free space that you may write "
            "to is needed. Choose another output folder."
        ) from error


def reorient_to_ras(volume: Volume) -> Volume:
    """The same voxels with axes permuted and flipped so that I, J, K run closest to right, anterior, superior."""
    orientation = nib.io_orientation(volume.affine)
    to_original = nib.orientations.inv_ornt_aff(orientation, volume.shape)
    array = np.ascontiguousarray(nib.apply_orientation(volume.array, orientation))
    return replace(volume, array=array, affine=volume.affine @ to_original)


def resample_to(
    volume: Volume,
    shape: Sequence[int],
    affine: np.ndarray,
    *,
    order: int = 1,
    transform: np.ndarray | None = None,
) -> Volume:
    """`volume` read at every voxel of another grid.

    out[i] = volume[volume.affine^-1 @ transform @ affine @ i], 0 outside the field of view.

    order : 1 trilinear (float32), 0 nearest neighbor (dtype kept: masks and labels)
    transform : (4, 4) RAS mm -> RAS mm, from the world of the new grid to the world of `volume`; None = identity
    """
    if order not in (0, 1):
        raise ValueError(f"order is 0 (nearest) or 1 (trilinear), not {order}.")
    to_world = affine if transform is None else transform @ affine
    # float64 throughout: float32 makes oblique affines fail the round trip.
    matrix = np.linalg.solve(volume.affine, np.asarray(to_world, dtype=np.float64))
    dtype = volume.array.dtype if order == 0 else np.dtype(np.float32)
    array = _sample(volume.array, matrix, tuple(shape), order).astype(dtype, copy=False)
    return Volume(array, affine, volume.facts)


def same_grid(one: Volume, other: Volume) -> bool:
    """Whether both volumes have the same shape and every corner at the same place (within 0.01 mm)."""
    if one.shape != other.shape:
        return False
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in one.shape], [1], indexing="ij")).reshape(4, -1)
    return bool(np.abs((one.affine - other.affine) @ corners).max() <= GRID_TOLERANCE_MM)


def check_mask(mask: Volume, volume: Volume) -> np.ndarray:
    """The mask as boolean (I, J, K). Raises InputRefused when it is empty or lies on another grid than `volume`."""
    if not same_grid(mask, volume):
        raise InputRefused(
            f"The mask has {describe_shape(mask.shape)} voxels of {describe_shape(mask.spacing_mm)} mm, the image "
            f"{describe_shape(volume.shape)} of {describe_shape(volume.spacing_mm)} mm, and both must lie on the same "
            "grid (size, spacing, orientation, origin). Resample the mask to the image with nearest neighbor."
        )
    if not mask.array.any():
        raise InputRefused(
            "The mask is empty: no voxel is above 0, but the brain must be marked. Give a mask with the brain above 0, "
            "or none, and it is computed."
        )
    return mask.array > 0


def _reader(path: Path) -> Callable[[Path], Scan]:
    """The function that reads this kind of file."""
    refuse_unreadable(path)
    if path.is_dir():
        return read_folder
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return read_nifti
    if name.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        return read_itk
    raise InputRefused(f"{path.name} is no image format known here. Needed is {ACCEPTED_FORMATS}. Convert it first.")


def _as_image(scan: Scan, path: Path) -> np.ndarray:
    """Finite float32 with some contrast, or a refusal."""
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(scan.array, dtype=np.float32)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        count = np.count_nonzero(~np.isfinite(array))
        raise InputRefused(
            f"{path.name} holds {count} values that are not numbers (NaN or infinite), but every voxel needs a finite "
            "intensity. Export the scan again, or replace those values by 0 where they are background."
        )
    if low == high:
        raise InputRefused(
            f"{path.name} has the same value ({low:g}) in every voxel, but an image of a brain is needed. "
            "Check that the export went through and give the scan itself."
        )
    if high <= 0:
        raise InputRefused(
            f"{path.name} holds no positive intensity (range {low:g} to {high:g}), but MRI magnitudes are positive. "
            "Give the magnitude image, neither a phase nor a difference image."
        )
    return array


def _as_labels(scan: Scan, path: Path) -> np.ndarray:
    """The integers of a mask or label map, whatever number type the file stores them in."""
    array = np.ascontiguousarray(scan.array)
    if array.dtype.kind in "iu":
        return array
    if not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise InputRefused(
            f"{path.name} holds values that are not whole numbers, but a mask or label map is needed. "
            "Threshold it first, or give the file that holds the labels."
        )
    return array.astype(np.int32)


def _storable(array: np.ndarray) -> np.ndarray:
    """The array in a number type that every NIfTI reader knows."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        if array.size and max(abs(int(array.min())), abs(int(array.max()))) > np.iinfo(np.int32).max:
            raise ValueError("Integers beyond 32 bits cannot be stored as a volume.")
        return array.astype(np.int32)
    return array


def _is_sheared(affine: np.ndarray) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > LARGEST_SHEAR)


def _sample(array: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """array at matrix @ (i, j, k, 1); booleans go through uint8, which scipy can read."""
    array = array.view(np.uint8) if array.dtype == bool else array
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    if np.allclose(linear, np.diag(np.diag(linear)), rtol=0, atol=1e-12):
        linear = np.diag(linear)  # scipy walks aligned grids axis by axis, several times faster
    output = np.float32 if order == 1 else array.dtype
    # "grid-constant", not "constant": there a border voxel that rounding puts 1e-15 outside would turn 0.
    return ndimage.affine_transform(
        array, linear, offset, output_shape=shape, output=output, order=order, mode="grid-constant", cval=0.0
    )
