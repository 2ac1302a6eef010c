"""The fixed list of lesions every detector is judged with. No training code draws from it.

Each healthy scan gets one lesion of every kind, each planted alone into the untouched scan. Volumes are log-uniform
over 0.05-60 ml and contrasts uniform over 1-3 local standard deviations; both are stratified over the scans, so that a
short list covers the whole range for every kind.
"""

from dataclasses import dataclass

import numpy as np

from neurogen.synth.lesions import KINDS, PlantedLesion, plant_lesion

EVALUATION_SEED = 20261121
VOLUME_ML = (0.05, 60.0)
CONTRAST = (1.0, 3.0)


@dataclass(frozen=True)
class PlantedSpec:
    """One lesion of the list: which scan (index), what, how large, how strong, and the seed of its place and shape."""

    scan: int
    kind: str
    volume_ml: float
    contrast: float
    seed: int


def planted_set(n_scans: int, seed: int = EVALUATION_SEED) -> tuple[PlantedSpec, ...]:
    """One lesion of each kind for each of `n_scans` scans: the same list for the same arguments, everywhere."""
    rng = np.random.default_rng(seed)
    specs = []
    for kind in KINDS:
        volumes = np.exp(_stratified(np.log(VOLUME_ML[0]), np.log(VOLUME_ML[1]), n_scans, rng))
        contrasts = _stratified(*CONTRAST, n_scans, rng)
        seeds = rng.integers(2**31, size=n_scans)
        rows = zip(volumes, contrasts, seeds, strict=True)
        specs += [PlantedSpec(i, kind, float(v), float(c), int(s)) for i, (v, c, s) in enumerate(rows)]
    return tuple(sorted(specs, key=lambda spec: (spec.scan, KINDS.index(spec.kind))))


def plant(
    spec: PlantedSpec, image: np.ndarray, brain: np.ndarray, spacing_mm: tuple[float, float, float]
) -> PlantedLesion:
    """The scan with this lesion in it; see `plant_lesion` for shapes and units."""
    rng = np.random.default_rng(spec.seed)
    return plant_lesion(image, brain, spacing_mm, spec.kind, spec.volume_ml, spec.contrast, rng)


def _stratified(low: float, high: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` uniform draws, one from each of `count` equal parts of [low, high], in random order."""
    return low + (high - low) * (rng.permutation(count) + rng.random(count)) / max(count, 1)
