"""Reading image files: first the header, with every reason to refuse it, then the voxels.

A reader returns `Scan`: the stored array (I, J, K), its affine to RAS mm and the facts of the header. What the values
must be like is judged in `volumes.py`.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import nibabel as nib
import numpy as np

from neurogen.errors import InputRefused

ACCEPTED_FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd), MetaImage (.mha, .mhd) or a folder with one DICOM series"
LARGEST_VOXEL_COUNT = 600_000_000  # 2.4 GB as float32; a 0.25 mm head has 550 million
SPACING_RANGE_MM = (0.05, 30.0)  # voxel sizes outside are a wrong unit, not a head scan
SMALLEST_VOLUME_RATIO = 1e-3  # |det| of the unit voxel axes; 1 = orthogonal, 0 = flat
FORM_TOLERANCE_MM = 0.5  # sform and qform may place a corner of the image this differently
TAGS = (
    "Modality",
    "SeriesDescription",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "ContrastBolusAgent",
    "PatientAge",
    "BodyPartExamined",
)
TIMES = ("RepetitionTime", "EchoTime", "InversionTime")  # DICOM and `facts` in ms, BIDS in s
BROKEN_DATA = (
    EOFError,
    zlib.error,
    OSError,
    OverflowError,
    ValueError,
    RuntimeError,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
)

CHUNK_BYTES = 1 << 22

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Scan:
    """array (I, J, K) as stored, affine (4, 4) voxel -> RAS mm, facts of the header."""

    array: np.ndarray
    affine: np.ndarray
    facts: dict[str, str]


def read_nifti(path: Path) -> Scan:
    """NIfTI-1 or NIfTI-2. The sform places the voxels, the qform where there is no sform."""
    try:
        image = nib.load(path, mmap=False)
    except BROKEN_DATA as error:
        refuse_broken(path, "its header cannot be read as NIfTI", error)
    check_pixels(path, 1 if image.get_data_dtype().fields is None else 3, image.get_data_dtype().kind == "c")
    shape = check_shape(path, image.shape)
    affine, facts = _nifti_affine(path, image, shape)
    check_affine(path, affine)
    try:
        _read_to_checksum(path)
        stored = np.asanyarray(image.dataobj).reshape(shape)
    except BROKEN_DATA as error:
        refuse_broken(path, "its voxels cannot be read", error)
    description = image.header["descrip"].item().decode("latin-1").strip("\0 ")
    return Scan(stored, affine, file_facts(path) | {"description": description} | sidecar_facts(path) | facts)


def read_itk(path: Path) -> Scan:
    """NRRD and MetaImage, through SimpleITK."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        refuse_broken(path, "its header cannot be read", error)
    check_pixels(path, reader.GetNumberOfComponents(), "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    shape = check_shape(path, reader.GetSize())
    if not _places_its_voxels(path, reader.GetMetaDataKeys()):
        refuse_unplaced(path, "neither a space (NRRD) nor a TransformMatrix (MetaImage)")
    check_affine(path, itk_affine(reader))
    if len(reader.GetSize()) > 3:
        reader.SetExtractSize([*shape, *[0] * (len(reader.GetSize()) - 3)])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        refuse_broken(path, "its voxels cannot be read", error)
    return Scan(itk_array(image).reshape(shape), itk_affine(image), file_facts(path) | sidecar_facts(path))


def itk_array(image) -> np.ndarray:
    """The voxels of a SimpleITK image as (I, J, K)."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(image).T


def itk_affine(image) -> np.ndarray:
    """Voxel -> RAS mm of a SimpleITK image or reader; ITK's world is LPS. A 2-D image lies in the plane z = 0."""
    size = min(image.GetDimension(), 3)
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:size, :size]
    affine[:size, :size] = direction * np.array(image.GetSpacing())[:size]
    affine[:size, 3] = image.GetOrigin()[:size]
    return LPS_TO_RAS @ affine


def check_shape(path: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    """The three spatial sizes from the header, before anything is allocated."""
    sizes = [int(size) for size in shape]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 3:
        raise InputRefused(
            f"{path.name} has {len(sizes)} dimensions ({describe_shape(sizes)}), but one 3-D volume is needed. "
            "Extract a single volume of the series and give that."
        )
    sizes += [1] * (3 - len(sizes))
    if min(sizes) < 1:
        refuse_broken(path, f"its header claims {describe_shape(sizes)} voxels", None)
    if math.prod(sizes) > LARGEST_VOXEL_COUNT:
        raise InputRefused(
            f"The header of {path.name} claims {describe_shape(sizes)} voxels, but at most {LARGEST_VOXEL_COUNT:,} "
            "can be handled. Check the file, or crop or resample the scan to about 1 mm."
        )
    return tuple(sizes)


def check_affine(path: Path, affine: np.ndarray) -> None:
    """Refuses an affine that is not finite, not invertible or whose voxel size no head scan has."""
    axes = affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) <= SMALLEST_VOLUME_RATIO * np.prod(sizes):
        raise InputRefused(
            f"The affine of {path.name} is singular or not finite, so its voxels have no place in the patient. "
            "An invertible voxel-to-millimeter matrix is needed. Convert the scan again from its DICOM files."
        )
    if sizes.min() < SPACING_RANGE_MM[0] or sizes.max() > SPACING_RANGE_MM[1]:
        raise InputRefused(
            f"{path.name} has voxels of {describe_shape(sizes)} mm, but a head scan has {SPACING_RANGE_MM[0]:g} to "
            f"{SPACING_RANGE_MM[1]:g} mm. Check the unit of its header: it must be millimeters."
        )


def check_pixels(path: Path, components: int, is_complex: bool) -> None:
    """Refuses color and complex voxels."""
    if components > 1 or is_complex:
        kind = "complex numbers" if is_complex else f"{components} values a voxel (color or vectors)"
        raise InputRefused(
            f"{path.name} stores {kind}, but one gray value a voxel is needed. Give the magnitude image as acquired."
        )


def refuse_unreadable(path: Path) -> None:
    """Refuses a path that does not exist, is empty or may not be read."""
    try:
        empty = path.is_file() and path.stat().st_size == 0
        if not path.exists():
            raise InputRefused(f"There is no {path}. Needed is {ACCEPTED_FORMATS}. Check the path.")
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise InputRefused(
            f"{path} cannot be opened: {error.strerror}. A readable file is needed. Check its permissions."
        ) from error
    if empty:
        raise InputRefused(f"{path.name} is an empty file, but an image is needed. Copy or export the scan again.")


def refuse_broken(path: Path, why: str, error: Exception | None) -> NoReturn:
    cause = "" if error is None else f" ({type(error).__name__})"
    raise InputRefused(
        f"{path.name} is not a whole, valid image: {why}{cause}. Needed is {ACCEPTED_FORMATS}. "
        "Copy or export the scan again."
    ) from error


def refuse_unplaced(path: Path, missing: str) -> NoReturn:
    raise InputRefused(
        f"{path.name} does not say how it lies in the patient: it has {missing}. Left and right would be a guess. "
        "Convert the scan again from its DICOM files, or write the affine into the header."
    )


def describe_shape(sizes: Sequence[float]) -> str:
    """`160 x 192 x 160`, `0.5 x 0.5 x 5`."""
    return " x ".join(f"{size:.4g}" if isinstance(size, float) else f"{size}" for size in sizes)


def file_facts(path: Path) -> dict[str, str]:
    with path.open("rb") as stream:
        return {"name": path.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def sidecar_facts(path: Path) -> dict[str, str]:
    """The tags of a BIDS JSON file of the same name beside the image; times are turned from s to ms."""
    sidecar = path.with_name(path.name.removesuffix(".gz")).with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        facts = {tag: str(content[tag]) for tag in TAGS if tag in content}
        return facts | {tag: f"{1000 * float(content[tag]):g}" for tag in TIMES if tag in content}
    except (OSError, ValueError, TypeError) as error:
        return {"sidecar_warning": f"{sidecar.name} beside the scan could not be read and was ignored: {error}."}


def _nifti_affine(path: Path, image, shape: tuple[int, int, int]) -> tuple[np.ndarray, dict[str, str]]:
    sform = image.get_sform(coded=True)[0] if hasattr(image, "get_sform") else None
    try:
        qform = image.get_qform(coded=True)[0] if hasattr(image, "get_qform") else None
    except ValueError:  # a quaternion that is no rotation
        qform = None
    if sform is None and qform is None:
        refuse_unplaced(path, "neither a valid sform nor a valid qform")
    if sform is None or qform is None:
        return (qform if sform is None else sform), {}
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], [1], indexing="ij")).reshape(4, -1)
    difference = float(np.abs((sform - qform) @ corners).max())
    if not difference > FORM_TOLERANCE_MM:
        return sform, {}
    warning = f"The sform and qform of {path.name} place the scan up to {difference:.1f} mm apart; the sform was used."
    return sform, {"affine_warning": warning}


def _read_to_checksum(path: Path) -> None:
    """Unpacks a .gz to its end, where its checksum is: nibabel stops at the last voxel and would miss damage."""
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as stream:
            while stream.read(CHUNK_BYTES):
                pass


def _places_its_voxels(path: Path, keys: Sequence[str]) -> bool:
    """Whether the header holds an orientation: ITK fills in the identity where it does not."""
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        return "NRRD_space" in keys
    with path.open("rb") as stream:
        head = stream.read(4096)
    return any(word in head for word in (b"TransformMatrix", b"Orientation", b"Rotation"))
