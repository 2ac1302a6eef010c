"""Reading a folder of DICOM files as one volume.

GDCM (through SimpleITK) sorts and decodes the slices. Their places are taken from Image Position (Patient), so a gap or
a second volume in the same series is seen instead of being squeezed into an even stack.
"""

import hashlib
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused
from neurogen.readers import (
    BROKEN_DATA,
    LPS_TO_RAS,
    TAGS,
    Scan,
    check_affine,
    check_pixels,
    check_shape,
    itk_affine,
    itk_array,
    refuse_broken,
)

TAG_NUMBERS = dict(
    zip(
        TAGS,
        ("0008|0060", "0008|103e", "0018|0080", "0018|0081", "0018|0082", "0018|0010", "0010|1010", "0018|0015"),
        strict=True,
    )
)
POSITION = "0020|0032"
FRAMES = "0028|0008"
PLACE_TOLERANCE = 0.05  # of the slice distance; scanners round positions to about 0.001 mm


def read_folder(path: Path) -> Scan:
    """The series with the most slices among those directly in `path`. Raises InputRefused."""
    files = _largest_series(path)
    headers = [_header(path, file) for file in files]
    check_pixels(path, headers[0].GetNumberOfComponents(), is_complex=False)
    columns, rows, frames = check_shape(path, headers[0].GetSize())
    shape = check_shape(path, (columns, rows, frames * len(files)))
    step = _slice_step(path, [_position(path, header) for header in headers]) if len(files) > 1 else None
    image = _voxels(path, files)
    affine = itk_affine(image)
    if step is not None:
        affine[:3, 2] = LPS_TO_RAS[:3, :3] @ step
    check_affine(path, affine)
    return Scan(itk_array(image).reshape(shape), affine, _facts(path, files, headers[0]))


def _largest_series(path: Path) -> list[str]:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # a folder without DICOM images gets our sentence, not ITK's
    series = [reader.GetGDCMSeriesFileNames(str(path), uid) for uid in reader.GetGDCMSeriesIDs(str(path))]
    sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    if not series:
        raise InputRefused(
            f"The folder {path.name} holds no DICOM images, but one DICOM series is needed directly in it. "
            "Give the folder that holds the slices of the scan, or a NIfTI, NRRD or MetaImage file."
        )
    return list(max(series, key=lambda files: _slice_count(path, files)))


def _slice_count(path: Path, files: list[str]) -> int:
    """Files of the series, or frames where one file holds them all."""
    return len(files) if len(files) > 1 else int(_tag(_header(path, files[0]), FRAMES) or 1)


def _header(path: Path, file: str):
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(file)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        refuse_broken(path, f"the header of its file {Path(file).name} cannot be read", error)
    return reader


def _tag(header, number: str) -> str:
    return header.GetMetaData(number).strip() if header.HasMetaDataKey(number) else ""


def _position(path: Path, header) -> np.ndarray:
    """Image Position (Patient): the first voxel of a slice in LPS mm."""
    try:
        position = np.array(_tag(header, POSITION).split("\\"), dtype=np.float64)
    except ValueError as error:
        refuse_broken(path, "a slice has no valid Image Position (Patient)", error)
    if position.shape != (3,):
        refuse_broken(path, "a slice has no Image Position (Patient)", None)
    return position


def _slice_step(path: Path, positions: list[np.ndarray]) -> np.ndarray:
    """The LPS step in mm from one slice to the next. Raises InputRefused unless all steps are alike."""
    steps = np.diff(positions, axis=0)
    step = np.median(steps, axis=0)
    length = float(np.linalg.norm(step))
    lengths = np.linalg.norm(steps, axis=1)
    if len({tuple(position) for position in np.round(positions, 2)}) < len(positions):
        raise InputRefused(
            f"The DICOM series in {path.name} holds several slices at the same place (several echoes, directions or "
            "time points), but one 3-D volume is needed. Put the slices of a single volume into a folder of their own."
        )
    worst = int(np.argmax(np.linalg.norm(steps - step, axis=1)))
    if np.linalg.norm(steps[worst] - step) > PLACE_TOLERANCE * length:
        raise InputRefused(
            f"The DICOM series in {path.name} is not evenly spaced: slices {worst + 1} and {worst + 2} are "
            f"{lengths[worst]:.2f} mm apart, the others {length:.2f} mm. Slices are missing, or two scans are mixed. "
            "Export the whole series again."
        )
    return (positions[-1] - positions[0]) / (len(positions) - 1)


def _voxels(path: Path, files: list[str]):
    import SimpleITK as sitk

    try:
        return sitk.ReadImage(files if len(files) > 1 else files[0], imageIO="GDCMImageIO")
    except BROKEN_DATA as error:
        refuse_broken(path, "its voxels cannot be read", error)


def _facts(path: Path, files: list[str], header) -> dict[str, str]:
    """Tags that tell the kind of scan, never who was scanned; `sha256` is over the files in slice order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(Path(file).read_bytes())
    tags = {name: _tag(header, number) for name, number in TAG_NUMBERS.items()}
    facts = {"name": path.name, "sha256": digest.hexdigest(), "slices": str(len(files))}
    return facts | {name: value for name, value in tags.items() if value}
