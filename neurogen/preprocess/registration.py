"""Affine registration of a brain to the ICBM152 template: Mattes mutual information from several starts, checked.

A head may lie tilted in the scanner by 40 degrees and more, where a single descent ends in a wrong valley. Rigid
descents from a fan of starting angles at 8 mm pick the valley; an affine descent at 4 and 2 mm then refines it.
The result is refused when the two brains hardly overlap or the intensities do not correspond.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter

from neurogen.errors import InputRefused
from neurogen.preprocess.itk_threads import one_itk_thread, stoppable
from neurogen.preprocess.template import template_t1
from neurogen.progress import Progress, silent
from neurogen.volumes import Volume, resample_to


@dataclass(frozen=True)
class RegistrationSettings:
    pitches_deg: tuple[float, ...] = (-40.0, -20.0, 0.0, 20.0, 40.0)  # nodding: the tilt that positioning leaves
    rolls_deg: tuple[float, ...] = (-15.0, 15.0)  # added to the best pitch
    minimum_overlap: float = 0.80  # Dice of brain and template brain
    minimum_correlation_ratio: float = 0.05  # of template intensity given scan intensity
    warn_overlap: float = 0.90
    seed: int = 20260101


@dataclass(frozen=True)
class Registration:
    """`scan_from_template` (4x4) takes a template point in RAS mm to the scan's RAS mm."""

    scan_from_template: np.ndarray
    overlap: float  # Dice of the brains, in [0, 1]
    correlation_ratio: float  # share of template variance that the scan's intensity explains, in [0, 1]


def register_to_template(
    scan: Volume,
    brain: np.ndarray,
    settings: RegistrationSettings = RegistrationSettings(),
    *,
    progress: Progress = silent,
) -> Registration:
    """Affine that lays the template on `scan` (any contrast; `brain` is its boolean mask on the same grid).

    Raises InputRefused when no start leads to a plausible overlay.
    """
    masked = Volume(np.where(brain, scan.array, 0).astype(np.float32), scan.affine)
    with one_itk_thread():
        pose = _best_rigid_start(masked, settings, progress)
        pose = _refine(masked, pose, settings, progress)
    registration = _measure(masked, pose)
    _refuse_if_failed(registration, settings)
    return registration


def _refuse_if_failed(registration: Registration, settings: RegistrationSettings) -> None:
    overlap, ratio = registration.overlap, registration.correlation_ratio
    if overlap < settings.minimum_overlap or ratio < settings.minimum_correlation_ratio:
        raise InputRefused(
            f"The brain could not be laid on the ICBM152 template: overlap {overlap:.2f} (needed "
            f"{settings.minimum_overlap:.2f}), intensity correspondence {ratio:.2f} (needed "
            f"{settings.minimum_correlation_ratio:.2f}). Check that the scan shows a whole brain and that the brain "
            "mask is right, give a mask with --mask, or register the scan yourself and pass --registered."
        )


def _best_rigid_start(masked: Volume, settings: RegistrationSettings, progress: Progress):
    import SimpleITK as sitk

    fixed, moving = _on_world_grid(template_t1(), 8.0), _on_world_grid(masked, 8.0)
    centre_fixed, centre_moving = _centre_of_mass(template_t1()), _centre_of_mass(masked)

    def descend(pitch: float, roll: float):
        rigid = sitk.Euler3DTransform()
        rigid.SetCenter(centre_fixed)
        rigid.SetTranslation([float(m - f) for m, f in zip(centre_moving, centre_fixed)])
        rigid.SetRotation(np.deg2rad(pitch), np.deg2rad(roll), 0.0)
        return _descend(fixed, moving, rigid, settings, iterations=40, sampling=1.0)

    tried = []
    for k, pitch in enumerate(settings.pitches_deg):
        tried.append((*descend(pitch, 0.0), pitch))
        progress("registration", 0.4 * (k + 1) / len(settings.pitches_deg))
    best_pitch = min(tried, key=lambda t: t[0])[2]
    tried += [(*descend(pitch, roll), pitch) for pitch, roll in product([best_pitch], settings.rolls_deg)]
    progress("registration", 0.55)
    return min(tried, key=lambda t: t[0])[1]


def _refine(masked: Volume, rigid, settings: RegistrationSettings, progress: Progress):
    import SimpleITK as sitk

    affine = sitk.AffineTransform(3)
    affine.SetCenter(rigid.GetCenter())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    for k, (spacing, iterations, sampling) in enumerate(((4.0, 80, 0.6), (2.0, 30, 0.15))):
        fixed, moving = _on_world_grid(template_t1(), spacing), _on_world_grid(masked, spacing)
        _, affine = _descend(fixed, moving, affine, settings, iterations=iterations, sampling=sampling)
        progress("registration", 0.75 + 0.2 * k)
    return affine


def _descend(fixed, moving, start, settings: RegistrationSettings, *, iterations: int, sampling: float):
    """One gradient descent; returns (negative mutual information, transform from fixed to moving RAS)."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    if sampling < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(sampling, settings.seed)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.02, numberOfIterations=iterations, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    with stoppable(method):
        result = method.Execute(fixed, moving)
    if isinstance(result, sitk.CompositeTransform):
        result = result.GetNthTransform(0)
    return method.GetMetricValue(), result.Downcast()


def _on_world_grid(volume: Volume, spacing: float):
    """A SimpleITK image, smoothed and sampled along the RAS axes, whose physical space is RAS itself.

    Resampling first frees the descent from oblique, left-handed and sheared affines, which ITK cannot hold.
    """
    import SimpleITK as sitk

    sigma = 0.5 * spacing / np.asarray(volume.spacing_mm)
    smooth = Volume(gaussian_filter(volume.array, np.where(sigma > 0.5, sigma, 0.0)), volume.affine)
    low, high = _world_box(volume)
    low, high = low - 2 * spacing, high + 2 * spacing
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    sampled = resample_to(smooth, shape, affine)
    image = sitk.GetImageFromArray(np.ascontiguousarray(sampled.array.transpose(2, 1, 0), np.float32))
    image.SetSpacing([spacing] * 3)
    image.SetOrigin([float(x) for x in low])
    return image


def _world_box(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Corners in RAS mm of the box that holds every voxel > 0."""
    inside = [np.flatnonzero((volume.array > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    corners = np.array(list(product(*[(i[0], i[-1]) for i in inside])), float)
    world = corners @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return world.min(0), world.max(0)


def _centre_of_mass(volume: Volume) -> list[float]:
    """Centroid in RAS mm of the voxels > 0."""
    index = np.argwhere(volume.array > 0).mean(0)
    return [float(x) for x in volume.affine[:3, :3] @ index + volume.affine[:3, 3]]


def _measure(masked: Volume, transform) -> Registration:
    matrix = _as_matrix(transform)
    reference = template_t1()
    spacing = 3.0
    affine = reference.affine @ np.diag([spacing, spacing, spacing, 1.0])
    shape = tuple(int(n // spacing) for n in reference.shape)
    fixed = resample_to(reference, shape, affine).array
    moving = resample_to(masked, shape, affine, transform=matrix).array
    inside_fixed, inside_moving = fixed > 0, moving > 0.02 * moving.max()
    both = inside_fixed & inside_moving
    overlap = 2 * both.sum() / (inside_fixed.sum() + inside_moving.sum())
    return Registration(matrix, float(overlap), _correlation_ratio(fixed[both], moving[both]))


def _correlation_ratio(response: np.ndarray, given: np.ndarray) -> float:
    """1 - E[Var(response | given)] / Var(response), `given` in 32 equally filled bins (Roche et al. 1998)."""
    if response.size < 1000 or response.var() == 0:
        return 0.0
    edges = np.quantile(given, np.linspace(0, 1, 33)[1:-1])
    index = np.searchsorted(edges, given)
    count = np.bincount(index, minlength=32)
    total = np.bincount(index, response, minlength=32)
    square = np.bincount(index, response**2, minlength=32)
    within = (square - total**2 / np.maximum(count, 1)).sum() / response.size
    return float(1 - within / response.var())


def _as_matrix(transform) -> np.ndarray:
    """4x4 of a SimpleITK rigid or affine transform: p -> M (p - c) + c + t."""
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre + shift - linear @ centre
    return matrix
