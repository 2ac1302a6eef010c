"""One label map in, one age out, with what it is worth: the function behind `neurogen brain-age`."""

from dataclasses import dataclass

import numpy as np

from neurogen.affines import voxel_volume_ml
from neurogen.brain_age.age_model import AgeModel
from neurogen.brain_age.calibration import age_warnings
from neurogen.brain_age.distance import UNUSUAL_PERCENTILE
from neurogen.brain_age.features import RegionFeatures, region_features
from neurogen.brain_age.growth import STRATA, centile_of, norm_note
from neurogen.brain_age.label_check import AS_IS_MM, PUBLISHED_SPACING_MM, check_labels, needs_resampling
from neurogen.brain_age.regions import region_of
from neurogen.brain_age.resampling import resample_labels, restore_surfaces
from neurogen.errors import UsageError
from neurogen.progress import Progress, silent
from neurogen.volumes import Volume

POSSIBLE_WEEKS = (20.0, 60.0)


@dataclass(frozen=True)
class AgeSettings:
    """age_weeks: postmenstrual age at the scan, None when not known. stratum: the charts to compare with."""

    age_weeks: float | None = None
    stratum: str = "all"


@dataclass(frozen=True, eq=False)
class AgeEstimate:
    """The reading of one scan. Arrays (172,) follow `regions.FEATURE_NAMES`; ages and gaps are weeks."""

    predicted: float
    interval_50: tuple[float, float]
    interval_90: tuple[float, float]
    age: float | None
    gap: float | None  # predicted - age
    corrected_gap: float | None  # without the pull to the mean
    chart_age: float  # the age that z and centile belong to: the given one, else the predicted one
    stratum: str
    features: RegionFeatures
    z: np.ndarray
    centile: np.ndarray
    contribution: np.ndarray  # weeks that each feature adds to the mean age
    distance: float
    distance_percentile: float  # of the training scans that lie nearer
    distance_causes: tuple[tuple[int, float], ...]  # (label, share of the squared distance)
    resampled_from_mm: tuple[float, float, float] | None
    warnings: tuple[str, ...]


def estimate_age(
    volume: Volume, model: AgeModel, settings: AgeSettings = AgeSettings(), progress: Progress = silent
) -> AgeEstimate:
    """Read the age from a Draw-EM label map. Raises InputRefused for the map, UsageError for the settings."""
    _check_settings(settings)
    check_labels(volume)
    resampled = needs_resampling(volume)
    progress("measuring regions", 0.1)
    measured = resample_labels(volume, PUBLISHED_SPACING_MM) if resampled else volume
    features = region_features(measured.array, voxel_ml=voxel_volume_ml(measured.affine))
    if max(volume.spacing_mm) > AS_IS_MM[1]:
        features = restore_surfaces(features)
    progress("reading the age", 0.9)
    return read_age(features, model, settings, resampled_from_mm=volume.spacing_mm if resampled else None)


def read_age(
    features: RegionFeatures,
    model: AgeModel,
    settings: AgeSettings = AgeSettings(),
    *,
    resampled_from_mm: tuple[float, float, float] | None = None,
) -> AgeEstimate:
    """The reading of measured regions (all 86)."""
    vector, age = features.vector(), settings.age_weeks
    predicted = float(model.regressor.predict(vector[None])[0])
    chart_age = predicted if age is None else age
    z = model.charts.z_scores(vector[None], np.array([chart_age]), stratum=settings.stratum)[0]
    distance = float(model.cloud.distance(vector[None])[0])
    percentile = model.cloud.percentile(distance)
    causes = model.cloud.causes(vector)
    return AgeEstimate(
        predicted=predicted,
        interval_50=model.calibration.interval(predicted, 0.5),
        interval_90=model.calibration.interval(predicted, 0.9),
        age=age,
        gap=None if age is None else predicted - age,
        corrected_gap=None if age is None else model.calibration.corrected_gap(predicted, age),
        chart_age=chart_age,
        stratum=settings.stratum,
        features=features,
        z=z,
        centile=centile_of(z),
        contribution=model.regressor.contributions(vector[None])[0],
        distance=distance,
        distance_percentile=percentile,
        distance_causes=causes,
        resampled_from_mm=resampled_from_mm,
        warnings=(
            *age_warnings(predicted, age),
            *_chart_warnings(chart_age, age, model, settings.stratum),
            *_distance_warnings(percentile, causes),
            *_spacing_warnings(resampled_from_mm),
        ),
    )


def _check_settings(settings: AgeSettings) -> None:
    low, high = POSSIBLE_WEEKS
    if settings.age_weeks is not None and not low <= settings.age_weeks <= high:
        raise UsageError(
            f"The age {settings.age_weeks:g} is not a newborn's postmenstrual age ({low:g} to {high:g} weeks). "
            "Give gestational age at birth plus the weeks since birth."
        )
    if settings.stratum not in STRATA:
        raise UsageError(f"The charts {settings.stratum!r} are unknown. Choose one of {', '.join(STRATA)}.")


def _chart_warnings(chart_age: float, age: float | None, model: AgeModel, stratum: str) -> tuple[str, ...]:
    found = []
    if norm_note(chart_age):
        found.append(f"Below 37 weeks the growth charts show infants {norm_note(chart_age)}.")
    if age is None:
        found.append("No age was given: z-scores and centiles compare with infants of the predicted age.")
    low, high = model.charts.range_of(stratum)
    if not low <= chart_age <= high:
        found.append(
            f"The charts of {stratum!r} reach from {low:.1f} to {high:.1f} weeks; beyond, they stay at their end."
        )
    return tuple(found)


def _distance_warnings(percentile: float, causes: tuple[tuple[int, float], ...]) -> tuple[str, ...]:
    if percentile < UNUSUAL_PERCENTILE:
        return ()
    names = "; ".join(region_of(label).name for label, _ in causes[:3])
    return (
        f"This scan lies farther from the training scans than {percentile:.0f} % of these among themselves, most of "
        f"all in: {names}. "
        "Check the segmentation there; the interval may be too narrow.",
    )


def _spacing_warnings(resampled_from_mm: tuple[float, float, float] | None) -> tuple[str, ...]:
    if resampled_from_mm is None:
        return ()
    words = " x ".join(f"{size:.3g}" for size in resampled_from_mm)
    return (
        f"The label map of {words} mm was resampled to {PUBLISHED_SPACING_MM} mm: its age can be off by 0.3 week more.",
    )
