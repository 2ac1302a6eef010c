"""Small synthetic scans with a known answer, on any grid.

The phantom is a function of world millimeters, so the same head can be drawn on every grid and compared.
"""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from neurogen.volumes import Volume

DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
VOXEL_ML = 0.000125  # of 0.5 mm
BRAIN_RADII_MM = (65.0, 82.0, 60.0)  # an adult brain: 1.3 liters
VENTRICLE_RADII_MM = (10.0, 24.0, 12.0)

# Intensities of (CSF, gray matter, white matter).
T1W = (0.15, 0.60, 0.95)
T2W = (0.95, 0.55, 0.40)
FLAIR = (0.12, 0.80, 0.62)


def affine_of(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    axes: str = "RAS",
    tilt_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """(4, 4) voxel -> RAS mm: I, J, K run toward the letters of `axes`, then all is tilted; `center` is mid-grid."""
    columns = np.array([DIRECTIONS[letter] for letter in axes], dtype=float).T * spacing
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", tilt_degrees, degrees=True).as_matrix() @ columns
    affine[:3, 3] = np.array(center) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _geometry(shape, spacing, **placing):
    return shape, affine_of(shape, spacing, **placing)


# name -> (shape, affine): every way a scan may lie that the program promises to handle.
GEOMETRIES = {
    "ras": _geometry((80, 96, 72), (2, 2, 2)),
    "oblique": _geometry((90, 104, 90), (2, 2, 2), tilt_degrees=(17, -12, 9), center=(3, -8, 5)),
    "anisotropic": _geometry((272, 340, 26), (0.5, 0.5, 5)),
    "las": _geometry((80, 96, 72), (2, 2, 2), axes="LAS"),
    "cropped": _geometry((80, 96, 40), (2, 2, 2), center=(0, 0, 20)),
    "conformed": _geometry((96, 96, 96), (2, 2, 2), axes="LIA"),
    "sagittal-stack": _geometry((110, 110, 32), (1.8, 1.8, 5), axes="PSR"),
}


def world_of(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """(3, I, J, K) RAS mm of every voxel."""
    indices = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ indices + affine[:3, 3:]).reshape(3, *shape)


def phantom(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    *,
    tissues: tuple[float, float, float] = T1W,
    scale: float = 1.0,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[Volume, Volume]:
    """(image, brain): an ellipsoidal brain of CSF rim, cortex, white matter and ventricles, without skull.

    scale : size of the brain relative to an adult's. Edges are blurred over about 3 mm, so that interpolating is exact
    to a few percent on grids of 2 mm.
    """
    world = world_of(shape, affine)
    depth_mm = _depth(world, np.array(BRAIN_RADII_MM) * scale)
    csf, gray, white = tissues
    image = csf * _rise(depth_mm) + (gray - csf) * _rise(depth_mm - 4 * scale) + (white - gray) * _rise(depth_mm - 15)
    image += (csf - white) * _rise(_depth(world, np.array(VENTRICLE_RADII_MM) * scale))
    if noise:
        image = np.abs(image + noise * rng.standard_normal(shape))
    return Volume(image.astype(np.float32), affine), Volume(depth_mm > 0, affine)


def _depth(world: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """About the distance in mm below the surface of an ellipsoid around the origin."""
    return (1 - np.sqrt(((world / radii[:, None, None, None]) ** 2).sum(0))) * radii.min()


def _rise(depth_mm: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(depth_mm, -50, 50)))


def write_dicom_series(volume: Volume, folder: Path, tags: dict[str, str], *, uid: str = "1.2.826.0.1.7.1") -> None:
    """One DICOM file a slice, written by SimpleITK; the patient is always DOE^JANE."""
    import SimpleITK as sitk

    numbers = {"SeriesDescription": "0008|103e", "EchoTime": "0018|0081", "PatientAge": "0010|1010"}
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    shared = {"0008|0060": "MR", "0010|0010": "DOE^JANE", "0020|000e": uid, "0020|000d": "1.2.826.0.1.7"}
    shared["0020|0037"] = "\\".join(f"{value:.8f}" for value in cosines[:, :2].T.ravel())
    shared |= {numbers[name]: value for name, value in tags.items()}
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(volume.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array[:, :, k].T.astype(np.int16)))
        image.SetSpacing(spacing[:2].tolist())
        position = lps[:3, 3] + k * lps[:3, 2]
        own = {"0020|0013": str(k + 1), "0008|0018": f"{uid}.{k + 1}", "0018|0050": f"{spacing[2]:g}"}
        own["0020|0032"] = "\\".join(f"{value:.8f}" for value in position)
        for number, value in (shared | own).items():
            image.SetMetaData(number, value)
        writer.SetFileName(str(folder / f"{uid}_{k:03d}.dcm"))
        writer.Execute(image)


def blobs(shape=(60, 66, 54), seed=0) -> np.ndarray:
    """All 87 labels as a Voronoi pattern inside an ellipsoid."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape).reshape(3, -1).T
    center = np.array(shape) / 2
    inside = (((grid - center) / (center - 4)) ** 2).sum(axis=1) < 1
    seeds = grid[rng.choice(np.flatnonzero(inside), 87, replace=False)]
    labels = np.zeros(len(grid), dtype=np.int16)
    labels[inside] = cKDTree(seeds).query(grid[inside])[1] + 1
    return labels.reshape(shape)


def as_head(labels: np.ndarray, *, head_ml: float = 350.0) -> Volume:
    """The pattern enlarged so that it has a newborn's size at 0.5 mm."""
    factor = int(np.ceil((head_ml / (np.count_nonzero(labels) * VOXEL_ML)) ** (1 / 3)))
    large = labels.repeat(factor, 0).repeat(factor, 1).repeat(factor, 2)
    return Volume(large, np.diag([0.5, 0.5, 0.5, 1.0]))
