"""Marked regions as a DICOM segmentation of the series that the scan was loaded from (needs highdicom)."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import slicer

from NeuroGenADLib.exports import labelVolume
from NeuroGenADLib.result import Result
from NeuroGenADLib.scan_facts import dicomFiles
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import segmentIds
from NeuroGenLib.terminology import LESION, Code

SERIES_NUMBER = 9000  # above what scanners give, so that it is listed last
LARGEST_OFFSET = 0.1  # voxels by which a pixel of the series may miss a voxel of the map


def problem(result: Result) -> str:
    """Why the regions cannot be a DICOM segmentation; empty when they can."""
    if find_spec("highdicom") is None:
        return _("Needs the Python package highdicom, which Slicer 5.12 and later bring along.")
    if result.input is None or not dicomFiles(result.input):
        return _("The scan was not loaded from the DICOM database, and a segmentation must refer to its series.")
    lesions = result.node("lesions")
    if lesions is None or not segmentIds(lesions):
        return _("No region is marked.")
    return ""


def writeSegmentation(result: Result, path: Path) -> None:
    """Write the segments of a result. Raises ValueError where `problem` finds one."""
    reason = problem(result)
    if reason:
        raise ValueError(reason)
    from pydicom import dcmread

    images = [dcmread(file) for file in dicomFiles(result.input)]
    if any("ImagePositionPatient" not in image for image in images):
        raise ValueError(_("The series of the scan is a multi-frame object, which cannot be referred to yet."))
    segmentation = result.node("lesions")
    labelNode = labelVolume(segmentation, result.map)
    try:
        labels = slicer.util.arrayFromVolume(labelNode).T
    finally:
        slicer.mrmlScene.RemoveNode(labelNode)
    # The series knows nothing of transforms above the node in the scene.
    frames = np.stack([sliceOf(labels, ijkToRas(result.map, world=False), image) for image in images])
    names = [segmentation.GetSegmentation().GetSegment(each).GetName() for each in segmentIds(segmentation)]
    _segmentationObject(images, frames, names, result).save_as(path)


def sliceOf(labels: np.ndarray, affine: np.ndarray, image) -> np.ndarray:
    """What the map (I, J, K) holds at the pixels (row, column) of a DICOM slice.

    Position of pixel (r, c), LPS mm: IPP + c spacing[1] IOP[:3] + r spacing[0] IOP[3:]   (DICOM PS3.3, C.7.6.2.1.1)
    Raises ValueError when the pixels are no voxels of the map.
    """
    lpsToRas = np.diag([-1.0, -1.0, 1.0])
    orientation, spacing = np.array(image.ImageOrientationPatient, float), np.array(image.PixelSpacing, float)
    toIndex = np.linalg.inv(affine)
    start = toIndex @ [*(lpsToRas @ np.array(image.ImagePositionPatient, float)), 1.0]
    steps = [toIndex[:3, :3] @ lpsToRas @ axis for axis in (orientation[3:] * spacing[0], orientation[:3] * spacing[1])]
    rows, columns = np.indices((image.Rows, image.Columns))
    places = start[:3] + rows[..., None] * steps[0] + columns[..., None] * steps[1]
    index = np.rint(places).astype(int)
    inside = (index >= 0).all() and (index < labels.shape).all()
    if not inside or np.abs(places - index).max() > LARGEST_OFFSET:
        raise ValueError(_("The scan was resampled since it was loaded: its voxels are no longer those of the series."))
    return labels[tuple(np.moveaxis(index, -1, 0))]


def _segmentationObject(images: list, frames: np.ndarray, names: list[str], result: Result):
    import highdicom

    stamp = result.record.attributes
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=f"NeuroGen {stamp['model']}",
        family=highdicom.sr.CodedConcept("123109", "DCM", "Artificial Intelligence"),
        version=stamp["version"],
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=_concept(LESION.category),
            segmented_property_type=_concept(LESION.type),
            anatomic_regions=[_concept(LESION.region)],
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, start=1)
    ]
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=frames.astype(np.uint8 if len(names) < 256 else np.uint16),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        series_description="NeuroGen marked regions, research use only",
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="NeuroGen",
        manufacturer_model_name=stamp["model"],
        software_versions=stamp["neurogen"],
        device_serial_number=stamp["weightsSha256"][:16],
    )


def _concept(code: Code):
    import highdicom

    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)
