"""Which kind of scan this is, and whether a model was made for it.

The kind is read from the header and, without any registration, from three measures of the intensities inside the
brain mask. All are ratios, so they depend neither on the unit of the intensities nor on the pose of the head; they are
taken on a 2 mm grid, so they hardly depend on the spacing.

balance : ((p95 - p50) - (p50 - p5)) / (p95 - p5) of the voxels more than 4 mm inside the mask. In T2w the CSF of the
    ventricles is a bright minority (> 0), in T1w and FLAIR a dark one (< 0 or near it).
depth_ratio : mean distance to the nearest CSF or mask border of the brighter half of the tissue, divided by that of
    the darker half. White matter lies deeper than gray: well above 1 in T1w, about 1 or below in FLAIR.
bright_tail : (p99.5 - p50) / (p95 - p50) of the same voxels as balance. Vessels full of contrast agent raise it.

Measured without any header, median [least, most]; masks from labels or skull stripping, and the limits below were set
on these scans:

    scans                          n   recognized   balance               depth_ratio         bright_tail
    T1w adults, 1 mm              46   46           -0.05 [-0.12, 0.07]   2.02 [1.83, 2.11]   1.28 [1.22, 1.37]
    T1w adults, 2 mm whole heads  71   71           -0.15 [-0.25, 0.00]   1.97 [1.81, 2.11]   1.33 [1.27, 1.41]
    T1w multiple sclerosis         2    2           -0.48 [-0.50, -0.46]  1.72 [1.64, 1.80]   1.35 [1.35, 1.36]
    T1w with contrast agent        2    2           -0.49 [-0.52, -0.47]  1.57 [1.57, 1.57]   2.53 [2.11, 2.95]
    FLAIR                          2    2           -0.36 [-0.53, -0.20]  0.92 [0.83, 1.01]   1.75 [1.48, 2.02]
    T2w adults                     2    2            0.65 [0.61, 0.68]    1.22 [1.15, 1.28]   1.76 [1.27, 2.24]
    T2w fetal templates           16   16            0.44 [0.35, 0.56]    1.07 [0.92, 1.23]   1.33 [1.23, 1.47]
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.cluster.vq import kmeans

from neurogen.affines import voxel_volume_ml
from neurogen.errors import InputRefused
from neurogen.preprocess.header import FLAIR, POST_CONTRAST, T1W, T2W, UNKNOWN, age_years, told_contrast
from neurogen.volumes import Volume, reorient_to_ras, resample_to

GRID_MM = 2.0
INSIDE_MM = 4.0  # voxels deeper than this: the rim of the mask differs between masks
LEAST_INSIDE_ML = 50.0  # fewer such voxels tell nothing

# (the value between two kinds, the distance from it at which the decision is sure)
BALANCE_T2W = (0.22, 0.15)
DEPTH_RATIO_T1W = (1.35, 0.15)
BRIGHT_TAIL_POST = (1.70, 0.35)

LEAST_CONFIDENCE = 0.6  # below it a kind is "unknown"
REFUSING_CONFIDENCE = 0.7  # from here on a wrong contrast is refused, below it is told
CONTRADICTED = 0.6  # header and intensities disagree
AGENT_SEEN_ONLY = 0.65  # bright vessels without a word in the header: fresh blood is as bright

BRAIN_RANGE_ML = (300.0, 2500.0)
SMALLEST_ADULT_BRAIN_ML = 700.0
ADULT_YEARS = 18.0
THICK_SLICE_MM = 3.0
CUT_AREA_CM2 = 20.0  # brain on a face of the field of view; a brain stem alone covers about 10
HEAD_PARTS = ("HEAD", "BRAIN", "SKULL", "NEURO")


@dataclass(frozen=True)
class ScanKind:
    """contrast: t1w, t2w, flair, t1w-post-contrast or unknown; confidence in [0, 1]; reasons: one sentence each."""

    contrast: str
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Measures:
    """The three numbers defined at the top of this file."""

    balance: float
    depth_ratio: float
    bright_tail: float


def recognise(volume: Volume, brain: np.ndarray) -> ScanKind:
    """The kind of scan, from `volume.facts` and the intensities inside `brain` (I, J, K) boolean."""
    told, source = told_contrast(volume.facts)
    measures = measure(volume, brain)
    seen, confidence, reason = _seen_contrast(measures) if measures else (UNKNOWN, 0.0, "too little brain to measure")
    if told == UNKNOWN:
        confidence = min(confidence, AGENT_SEEN_ONLY) if seen == POST_CONTRAST else confidence
        return ScanKind(seen if confidence >= LEAST_CONFIDENCE else UNKNOWN, confidence, (reason,))
    reasons = (f"{source}, that is {told}", reason)
    if told == seen:
        return ScanKind(told, max(confidence, 0.9), reasons)
    if confidence < 0.8:
        return ScanKind(told, 0.75, reasons)
    if {told, seen} == {T1W, POST_CONTRAST}:
        return ScanKind(POST_CONTRAST, CONTRADICTED, reasons)
    # Nothing else looks like T2w: there the intensities are believed against the header.
    return ScanKind(seen, 0.75 if seen == T2W else CONTRADICTED, reasons)


def measure(volume: Volume, brain: np.ndarray) -> Measures | None:
    """The three measures; None where less than 50 ml lie more than 4 mm inside the mask."""
    if not brain.any():
        return None
    image, mask = _on_coarse_grid(volume, brain)
    inside = image[GRID_MM * ndimage.distance_transform_edt(mask) > INSIDE_MM]
    if len(inside) * GRID_MM**3 / 1000 < LEAST_INSIDE_ML:
        return None
    p1, p5, p50, p95, p99, p995 = np.percentile(inside, [1, 5, 50, 95, 99, 99.5])
    if p95 <= p50 or p50 <= p5:
        return None
    balance = float(((p95 - p50) - (p50 - p5)) / (p95 - p5))
    return Measures(balance, _depth_ratio(image, mask, (p1, p99)), float((p995 - p50) / (p95 - p50)))


def check_suitable(volume: Volume, brain: np.ndarray, facts: Mapping[str, str], manifest: Mapping) -> tuple[str, ...]:
    """Warnings, one sentence each, about a scan that the model of `manifest` may be used on.

    Reads `contrasts`, `calibration`, `age_range` (years) and, where set, `maximum_slice_mm` of the manifest.
    Raises InputRefused for another modality, another contrast, slices too thick for the model, or no brain.
    """
    _refuse_other_modality(facts)
    brain_ml = float(np.count_nonzero(brain)) * voxel_volume_ml(volume.affine)
    _refuse_implausible_brain(brain_ml)
    warnings = [text for key, text in facts.items() if key.endswith("_warning")]
    warnings += _contrast_warnings(recognise(Volume(volume.array, volume.affine, dict(facts)), brain), manifest)
    warnings += _slice_warnings(max(volume.spacing_mm), manifest)
    warnings += _age_warnings(age_years(facts), brain_ml, manifest)
    warnings += _field_of_view_warnings(volume, brain)
    part = facts.get("BodyPartExamined", "")
    if part and not any(word in part.upper() for word in HEAD_PARTS):
        warnings.append(f"The header names {part!r} as the body part, not the head: check that this is the right scan.")
    return tuple(warnings)


def _on_coarse_grid(volume: Volume, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask (holes filled, 4 mm closed) on 2 mm voxels, with an empty border."""
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    corner = np.eye(4)
    corner[:3, 3] = [part.start for part in box]
    image = reorient_to_ras(Volume(volume.array[box], volume.affine @ corner))
    mask = reorient_to_ras(Volume(brain[box].astype(np.float32), volume.affine @ corner))
    factor = GRID_MM / np.array(image.spacing_mm)
    shape = np.ceil(np.array(image.shape) / factor).astype(int) + 6
    to_fine = np.diag([*factor, 1.0])
    to_fine[:3, 3] = (factor - 1) / 2 - 3 * factor
    affine = image.affine @ to_fine
    closed = ndimage.binary_closing(resample_to(mask, shape, affine).array > 0.5, iterations=2)
    return resample_to(image, shape, affine).array, ndimage.binary_fill_holes(closed)


def _depth_ratio(image: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float:
    """depth_ratio of the top of this file; CSF is the darkest of three intensity classes."""
    values = np.clip(image[mask], *limits)
    dark, middle, _ = np.sort(kmeans(values[::5], np.percentile(values, [10, 50, 90]), rng=0)[0])
    tissue = mask & (image > (dark + middle) / 2)
    depth, bright = ndimage.distance_transform_edt(tissue)[tissue], image[tissue] > np.median(image[tissue])
    return float(depth[bright].mean() / depth[~bright].mean()) if bright.any() else 1.0


def _seen_contrast(measures: Measures) -> tuple[str, float, str]:
    """(contrast, confidence, sentence) from the intensities alone."""
    is_t2w = _certainty(measures.balance, *BALANCE_T2W)
    if is_t2w > 0.5:
        return T2W, is_t2w, "a minority inside the brain is much brighter than the rest, as CSF is in T2w"
    is_t1w = _certainty(measures.depth_ratio, *DEPTH_RATIO_T1W)
    if is_t1w <= 0.5:
        return FLAIR, 1 - max(is_t1w, is_t2w), "CSF is dark and deep tissue is not the brightest, as in FLAIR"
    is_post = _certainty(measures.bright_tail, *BRIGHT_TAIL_POST)
    if is_post > 0.5:
        return POST_CONTRAST, min(is_post, is_t1w), "small parts are far brighter than white matter, as agent or blood"
    return T1W, 1 - max(1 - is_t1w, is_t2w, is_post), "deep tissue is the brightest and CSF is dark, as in T1w"


def _certainty(value: float, threshold: float, width: float) -> float:
    """0 well below the threshold, 0.5 on it, 1 well above it; linear between."""
    return float(np.clip(0.5 + 0.5 * (value - threshold) / width, 0.0, 1.0))


def _refuse_other_modality(facts: Mapping[str, str]) -> None:
    modality = facts.get("Modality", "MR")
    if not modality.upper().startswith("MR"):
        raise InputRefused(
            f"The header says modality {modality}, but a T1-weighted MRI of the head is needed. Give the MRI series."
        )


def _refuse_implausible_brain(brain_ml: float) -> None:
    if not BRAIN_RANGE_ML[0] <= brain_ml <= BRAIN_RANGE_ML[1]:
        raise InputRefused(
            f"{brain_ml:.0f} ml of brain were found, but a brain has {BRAIN_RANGE_ML[0]:.0f} to "
            f"{BRAIN_RANGE_ML[1]:.0f} ml. Check that this is a scan of a whole head, or give a brain mask."
        )


def _contrast_warnings(kind: ScanKind, manifest: Mapping) -> list[str]:
    why = "; ".join(kind.reasons)
    needed = f"{manifest.get('id', 'the model')} was made for T1-weighted scans before contrast agent"
    if kind.contrast == T1W:
        return []
    if kind.contrast == UNKNOWN:
        return [f"The contrast of the scan could not be recognized ({why}); {needed}: check that this is one."]
    if kind.confidence < REFUSING_CONFIDENCE:
        return [f"The scan may be {kind.contrast} ({why}); {needed}: results on another contrast mean nothing."]
    if kind.contrast == FLAIR and FLAIR in {*manifest.get("contrasts", ()), *manifest.get("calibration", ())}:
        needed = (
            f"{manifest.get('id', 'the model')} knows FLAIR at one axial level only, for a benchmark on slices; for "
            "volumes it was made for T1-weighted scans before contrast agent"
        )
    known = "This is" if len(kind.reasons) > 1 else "If this is a brain at all, its intensities are those of"
    raise InputRefused(f"{known} a {kind.contrast} scan ({why}), but {needed}. Give the T1-weighted scan.")


def _slice_warnings(slice_mm: float, manifest: Mapping) -> list[str]:
    limit = manifest.get("maximum_slice_mm")
    if limit is not None and slice_mm > limit:
        raise InputRefused(
            f"The slices are {slice_mm:.1f} mm apart, but {manifest.get('id', 'the model')} needs at most {limit:g} "
            "mm. Give a scan with thinner slices."
        )
    if slice_mm <= THICK_SLICE_MM:
        return []
    return [f"The slices are {slice_mm:.1f} mm apart; the model was made for 1 mm: small findings are unreliable."]


def _age_warnings(age: float | None, brain_ml: float, manifest: Mapping) -> list[str]:
    youngest, oldest = manifest.get("age_range") or (ADULT_YEARS, 120.0)
    if age is not None and age < ADULT_YEARS:
        return [f"The header gives an age of {age:.1f} years: to a model of adults a child's brain looks ill."]
    if age is not None and not youngest <= age < oldest + 1:
        return [f"The header gives an age of {age:.0f} years; the model was made for {youngest:g} to {oldest:g} years."]
    if brain_ml < SMALLEST_ADULT_BRAIN_ML:
        return [f"The brain has {brain_ml:.0f} ml, less than an adult's: a child, or only a part of the brain."]
    return []


def _field_of_view_warnings(volume: Volume, brain: np.ndarray) -> list[str]:
    spacing = np.array(volume.spacing_mm)
    cut_cm2 = 0.0
    for axis in range(3):
        pixel_cm2 = np.prod(np.delete(spacing, axis)) / 100
        cut_cm2 = max(cut_cm2, *(np.count_nonzero(brain.take(end, axis)) * pixel_cm2 for end in (0, -1)))
    if cut_cm2 <= CUT_AREA_CM2:
        return []
    return [f"The field of view cuts the brain (over {cut_cm2:.0f} square cm): what lies outside is not judged."]
