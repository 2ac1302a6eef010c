"""The input of a reading as a file: a segmentation with its labels, a label map, or a brain-extracted T2w volume."""

from pathlib import Path

import numpy as np
import slicer

from neurogen.brain_age.regions import REGIONS
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import exportVolume, segmentIds

_LABEL_OF_NAME = {region.name.lower(): region.label for region in REGIONS}


def exportInput(node, path: Path) -> np.ndarray:
    """Write the input; return the affine that was written. Raises ValueError when it cannot be used, RuntimeError
    when it cannot be written."""
    if not node.IsA("vtkMRMLSegmentationNode"):
        return exportVolume(node, path)
    labelNode = labelsOf(node)
    try:
        return exportVolume(labelNode, path)
    finally:
        _removeWithDisplay(labelNode)


def labelsOf(segmentation):
    """A label map volume with the Draw-EM label of each segment; the caller removes it.

    Raises ValueError for an empty segmentation, or one whose segments have neither labels nor names of regions.
    """
    segments = segmentIds(segmentation)
    if not segments:
        raise ValueError(_("{name} has no segments. Choose one with 87 regions.").format(name=segmentation.GetName()))
    lookup = np.concatenate([[0], _labels(segmentation, segments)]).astype(np.int16)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", segmentation.GetName())
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    exported = logic.ExportSegmentsToLabelmapNode(segmentation, segments, node, None)
    if not exported or node.GetImageData() is None or node.GetImageData().GetPointData().GetScalars() is None:
        _removeWithDisplay(node)
        raise ValueError(_("The segments of {name} are empty.").format(name=segmentation.GetName()))
    node.SetAndObserveTransformNodeID(segmentation.GetTransformNodeID())
    slicer.util.updateVolumeFromArray(node, lookup[slicer.util.arrayFromVolume(node)])
    return node


def _labels(segmentation, segments: list[str]) -> list[int]:
    """The label values of the segments where they are distinct, else the labels of their names."""
    found = [segmentation.GetSegmentation().GetSegment(each) for each in segments]
    values = [each.GetLabelValue() for each in found]
    if len(set(values)) == len(values):
        return values
    labels = [_LABEL_OF_NAME.get(each.GetName().lower(), 0) for each in found]
    if not all(labels):
        strange = next(each.GetName() for each, label in zip(found, labels) if not label)
        raise ValueError(
            _(
                "The segments of {name} have no label values of their own, and {segment} is no name of a region. "
                "Load the label map (desc-drawem87_dseg) as segmentation, or choose it as volume."
            ).format(name=segmentation.GetName(), segment=strange)
        )
    return labels


def _removeWithDisplay(node) -> None:
    display = node.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(node)
    if display is not None:
        slicer.mrmlScene.RemoveNode(display)
