"""The outline of the brain as a coarse surface, so that regions in the 3D view have a place."""

import numpy as np
import slicer
import vtk
from scipy import ndimage
from vtk.util.numpy_support import numpy_to_vtk

from NeuroGenLib.geometry import ijkToRas, matrixFromArray

CELL_MM = 3.0
LEAST_ML = 500.0  # less is no brain: a map that is 0 in most of it has no outline
COLOR, OPACITY = (0.85, 0.85, 0.82), 0.18


def brainModel(mapNode, name: str):
    """A new model node around what is not 0 in an anomaly map, under its transform; None where that is no brain."""
    share, cellToIjk = _cells(slicer.util.arrayFromVolume(mapNode) != 0, mapNode.GetSpacing())
    cellToRas = ijkToRas(mapNode, world=False) @ cellToIjk
    inside = ndimage.binary_fill_holes(share > 0.5)
    if inside.sum() * abs(np.linalg.det(cellToRas[:3, :3])) < LEAST_ML * 1000:
        return None
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(_surface(np.maximum(share, inside), cellToRas))
    node.SetAndObserveTransformNodeID(mapNode.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    shown = node.GetDisplayNode()
    shown.SetColor(*COLOR)
    shown.SetOpacity(OPACITY)
    shown.SetVisibility2D(False)
    return node


def _cells(marked: np.ndarray, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The share of marked voxels in cells of about CELL_MM, (K, J, I) with an empty rim; cell -> voxel index (4, 4)."""
    steps = [max(round(CELL_MM / size), 1) for size in reversed(spacing)]
    rest = [-size % step for size, step in zip(marked.shape, steps)]
    padded = np.pad(marked, [(0, each) for each in rest])
    shape = [part for size, step in zip(padded.shape, steps) for part in (size // step, step)]
    share = np.pad(padded.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32), 1)
    toIjk = np.diag([*map(float, reversed(steps)), 1.0])
    toIjk[:3, 3] = [-step + (step - 1) / 2 for step in reversed(steps)]  # the middle of the cell after the rim
    return share, toIjk


def _surface(share: np.ndarray, cellToRas: np.ndarray) -> vtk.vtkPolyData:
    """Where the smoothed share is one half, RAS mm."""
    smooth = ndimage.gaussian_filter(share.astype(np.float32), 0.7)
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(smooth.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(smooth.ravel(), deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeScalarsOff()  # they would color the surface
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrixFromArray(cellToRas))
    mover = vtk.vtkTransformPolyDataFilter()
    mover.SetInputConnection(contour.GetOutputPort())
    mover.SetTransform(transform)
    mover.Update()
    return mover.GetOutput()
