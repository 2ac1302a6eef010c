"""Where voxels are in the patient: 4x4 matrices as numpy arrays (float64), with the transforms above a node."""

import numpy as np
import vtk

ORTHOGONAL = 1e-3  # largest cosine between two axes of a grid that still counts as rectangular


def arrayFromMatrix(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """The same 4x4 matrix as a numpy array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrixFromArray(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """The same 4x4 matrix for VTK. Raises ValueError for any other shape."""
    if np.shape(array) != (4, 4):
        raise ValueError(f"A 4x4 matrix is needed, but the array has the shape {np.shape(array)}.")
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def ijkToRas(node, *, world: bool = True) -> np.ndarray:
    """Voxel (i, j, k, 1) to RAS mm of a volume node; `world` includes the transforms above it.

    Raises ValueError when one of them is not linear.
    """
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    own = arrayFromMatrix(matrix)
    return parentToWorld(node) @ own if world else own


def parentToWorld(node) -> np.ndarray:
    """What the transforms above a node do, as one 4x4 matrix. Raises ValueError when one of them is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise ValueError(f"The transforms above {node.GetName()!r} are not linear, so they are not one matrix.")
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return arrayFromMatrix(matrix)


def isRectangular(affine: np.ndarray) -> bool:
    """Whether the axes of a grid are perpendicular, as files and slice viewers need them."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < ORTHOGONAL)


def sameGrid(one: np.ndarray, other: np.ndarray, shape: tuple[int, int, int], *, tolerance_mm: float = 0.01) -> bool:
    """Whether two affines put every voxel of a grid of this (I, J, K) shape at the same place."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij")).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    return bool(np.abs((one - other) @ corners)[:3].max() <= tolerance_mm)
