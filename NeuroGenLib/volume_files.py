"""Volumes between nodes and files: the node stays untouched, results lie where it lies.

Arrays are never carried between readers by index: Slicer flips left-handed files along k when it loads them. Files are
therefore read here in their own voxel order and get the geometry of the node that they belong to.
"""

from pathlib import Path

import numpy as np
import slicer

from NeuroGenLib.geometry import ijkToRas, isRectangular, matrixFromArray, sameGrid
from NeuroGenLib.i18n import tr as _


def exportVolume(node, path: str | Path) -> np.ndarray:
    """Write a scalar volume where it is seen: its voxels unchanged, the transforms above it in the header.

    Returns the 4x4 affine (RAS mm) that was written; give it to `importVolume`. `.nii` is written at once, `.nii.gz`
    takes seconds of compression. Raises ValueError when the volume has no voxels or more than one value a voxel, or
    when a transform above it is not linear or shears it; RuntimeError when the file cannot be written.
    """
    affine = _exportAffine(node)
    copy = node.CreateNodeInstance()
    copy.SetAndObserveImageData(node.GetImageData())
    copy.SetIJKToRASMatrix(matrixFromArray(affine))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(Path(path).suffix == ".gz")
    if not storage.WriteData(copy):
        text = _("{name} could not be written to {path}. Make room on the disk and try again.")
        raise RuntimeError(text.format(name=node.GetName(), path=path))
    return affine


def importVolume(
    path: str | Path,
    name: str,
    referenceNode=None,
    *,
    exportedAffine: np.ndarray | None = None,
    labels: bool = False,
):
    """A new volume node from a file; on the grid and under the transform of `referenceNode` where the file lies on it.

    `exportedAffine` is what `exportVolume` returned for the reference: its transform may have moved since. A file on
    another grid keeps its own place in the world. `labels` makes a label map volume. Raises RuntimeError for a file
    that cannot be read.
    """
    kind = "vtkMRMLLabelMapVolumeNode" if labels else "vtkMRMLScalarVolumeNode"
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    try:
        readInFileOrder(node, path)
    except RuntimeError:
        slicer.mrmlScene.RemoveNode(node)
        raise
    if referenceNode is not None and isOnGridOf(node, referenceNode, exportedAffine=exportedAffine):
        layOnGridOf(node, referenceNode)
    node.CreateDefaultDisplayNodes()
    return node


def isOnGridOf(node, referenceNode, *, exportedAffine: np.ndarray | None = None) -> bool:
    """Whether the voxels of `node` are those of the reference: same number, same order, same place when exported."""
    shape = _shape(node)
    if shape != _shape(referenceNode):
        return False
    expected = ijkToRas(referenceNode) if exportedAffine is None else exportedAffine
    return sameGrid(ijkToRas(node, world=False), expected, shape)


def layOnGridOf(node, referenceNode) -> None:
    """Give a volume node the reference's voxel geometry and put it under the same transform."""
    node.SetIJKToRASMatrix(matrixFromArray(ijkToRas(referenceNode, world=False)))
    node.SetAndObserveTransformNodeID(referenceNode.GetTransformNodeID())


def _exportAffine(node) -> np.ndarray:
    name, image = node.GetName(), node.GetImageData()
    if image is None or 0 in image.GetDimensions():
        raise ValueError(_("{name} has no voxels. Choose a volume that was loaded completely.").format(name=name))
    if image.GetNumberOfScalarComponents() != 1:
        raise ValueError(
            _("{name} has several values a voxel, but one gray value is needed. Choose a scalar volume.").format(
                name=name
            )
        )
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise ValueError(
            _(
                "{name} lies under {transform}, which is not linear. Harden that transform (Transforms module) or take "
                "the volume out of it, and run again."
            ).format(name=name, transform=parent.GetName())
        )
    affine = ijkToRas(node)
    if not isRectangular(affine):
        raise ValueError(
            _(
                "The axes of {name} are not perpendicular: a transform shears it, or it was acquired with a tilted "
                "gantry. Resample it to a rectangular grid (Resample Scalar/Vector/DWI Volume module) and run again."
            ).format(name=name)
        )
    return affine


def readInFileOrder(node, path: str | Path) -> None:
    """Fill a volume node from a file, voxels in the order of the file. Raises RuntimeError when it cannot be read."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetForceRightHandedIJKCoordinateSystem(False)
    if not storage.ReadData(node) or node.GetImageData() is None:
        text = _("The result {path} could not be read. Run again; the log tells why it was not written.")
        raise RuntimeError(text.format(path=path))


def _shape(node) -> tuple[int, int, int]:
    image = node.GetImageData()
    return (0, 0, 0) if image is None else tuple(image.GetDimensions())
