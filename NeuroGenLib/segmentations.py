"""Label maps as segmentations: one segment a label, named and coded, on the grid of the scan."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import slicer

from NeuroGenLib.geometry import ijkToRas, matrixFromArray
from NeuroGenLib.terminology import LESION, Terminology, setTerminology
from NeuroGenLib.volume_files import exportVolume, importVolume, layOnGridOf

# Distinct on gray images and for readers who do not tell red from green; repeated when there are more labels.
COLORS = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.84, 0.37, 0.00),
    (0.80, 0.47, 0.65),
    (0.00, 0.45, 0.70),
)


def importSegmentation(
    labelPath: str | Path,
    names: Mapping[int, str],
    referenceNode,
    *,
    name: str = "Segmentation",
    terminology: Terminology = LESION,
    exportedAffine: np.ndarray | None = None,
):
    """A new segmentation from a label file, with a segment for each label of `names` that occurs in it."""
    labelNode = importVolume(labelPath, name, referenceNode, exportedAffine=exportedAffine, labels=True)
    try:
        segmentation = newSegmentation(name, referenceNode)
        segmentation.SetAndObserveTransformNodeID(labelNode.GetTransformNodeID())
        _fill(segmentation, labelNode, names, terminology)
    finally:
        _removeWithDisplay(labelNode)
    return segmentation


def newSegmentation(name: str, referenceNode):
    """An empty segmentation on the grid and under the transform of a volume: outline and light fill, no surface."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.CreateDefaultDisplayNodes()
    if referenceNode is not None:
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(referenceNode)
        segmentation.SetAndObserveTransformNodeID(referenceNode.GetTransformNodeID())
    segmentation.GetDisplayNode().SetOpacity2DFill(0.2)
    segmentation.GetDisplayNode().SetVisibility3D(False)
    return segmentation


def setSegments(
    segmentation,
    labels: np.ndarray,
    names: Mapping[int, str],
    referenceNode,
    *,
    terminology: Terminology = LESION,
) -> None:
    """Replace all segments by those of an integer array in the order of `arrayFromVolume(referenceNode)` (K, J, I)."""
    labelNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    try:
        slicer.util.updateVolumeFromArray(labelNode, np.ascontiguousarray(labels, dtype=np.int16))
        layOnGridOf(labelNode, referenceNode)
        wasModifying = segmentation.StartModify()
        segmentation.GetSegmentation().RemoveAllSegments()
        _fill(segmentation, labelNode, names, terminology)
        segmentation.EndModify(wasModifying)
    finally:
        _removeWithDisplay(labelNode)


def exportSegmentation(segmentation, referenceNode, path: str | Path) -> np.ndarray:
    """Write all segments as one label file on the grid of a volume, where it is seen; 1 is the first segment.

    Returns the affine and raises like `exportVolume`.
    """
    labelNode = slicer.vtkMRMLLabelMapVolumeNode()
    labelNode.SetName(segmentation.GetName())
    slicer.util.updateVolumeFromArray(labelNode, segmentLabels(segmentation, referenceNode))
    labelNode.SetIJKToRASMatrix(matrixFromArray(ijkToRas(referenceNode)))
    return exportVolume(labelNode, path)


def segmentLabels(segmentation, referenceNode) -> np.ndarray:
    """All segments as one int16 array on the grid of a volume, in the order of `arrayFromVolume` (K, J, I).

    1 is the first segment of `segmentIds`; where segments overlap, one of them wins.
    """
    ids = segmentIds(segmentation)
    if not ids:
        return np.zeros(referenceNode.GetImageData().GetDimensions()[::-1], np.int16)
    labelNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    tables = set(slicer.util.getNodesByClass("vtkMRMLColorTableNode"))
    try:
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        if not logic.ExportSegmentsToLabelmapNode(segmentation, ids, labelNode, referenceNode):
            raise RuntimeError(f"The segments of {segmentation.GetName()} could not be made a label map.")
        return slicer.util.arrayFromVolume(labelNode).astype(np.int16)
    finally:
        _removeWithDisplay(labelNode)
        for table in set(slicer.util.getNodesByClass("vtkMRMLColorTableNode")) - tables:
            slicer.mrmlScene.RemoveNode(table)  # the logic leaves it behind


def segmentIds(segmentation) -> list[str]:
    """The ids of all segments, in order."""
    segments = segmentation.GetSegmentation()
    return [segments.GetNthSegmentID(k) for k in range(segments.GetNumberOfSegments())]


def segmentOfLabel(segmentation, label: int) -> str:
    """The id of the segment of this label value, empty when there is none."""
    segments = segmentation.GetSegmentation()
    return next((each for each in segmentIds(segmentation) if segments.GetSegment(each).GetLabelValue() == label), "")


def _fill(segmentation, labelNode, names: Mapping[int, str], terminology: Terminology) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.ImportLabelmapToSegmentationNode(labelNode, segmentation):
        raise RuntimeError(f"The labels of {labelNode.GetName()} could not be made segments.")
    segments = segmentation.GetSegmentation()
    for segmentId in segmentIds(segmentation):
        segment = segments.GetSegment(segmentId)
        label = segment.GetLabelValue()
        if label not in names:
            segments.RemoveSegment(segmentId)
            continue
        segment.SetName(names[label])
        segment.SetColor(*COLORS[(label - 1) % len(COLORS)])
        setTerminology(segment, terminology)


def _removeWithDisplay(node) -> None:
    display = node.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(node)
    if display is not None:
        slicer.mrmlScene.RemoveNode(display)
