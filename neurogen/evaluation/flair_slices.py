"""The file of the flair-stroke benchmark: one axial FLAIR slice a patient, with acute-stroke masks; and its split.

`SLICES.npz` holds `flair` (N, H, W) uint8, 0 outside the brain, 1 mm pixels; `lesion_packed` (N, H, ceil(W / 8)) the
masks through `numpy.packbits(axis=-1)`; `lesion_area_mm2` (N,), where 0 marks a slice free of acute stroke; and, where
known, `patient` (N,).
"""

import hashlib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused, UsageError

EVALUATED_AREA_MM2 = 100  # slices with less lesion take no part
SPLIT_SEED = 20260101
TRAINING_SLICES, CALIBRATION_SLICES = 245, 30
PIXEL_ML = 0.001  # a 1 mm pixel of a slice counted as 1 mm thick


@dataclass(frozen=True)
class SliceSet:
    """All slices of one file. Arrays (N, H, W) and (N,)."""

    flair: np.ndarray
    lesion: np.ndarray
    area_mm2: np.ndarray
    patients: np.ndarray
    sha256: str = ""

    @property
    def brain(self) -> np.ndarray:
        """Pixels above 0; everything is scored and counted in here only."""
        return self.flair > 0


@dataclass(frozen=True)
class SliceSplit:
    """Indices into a `SliceSet`. Where stroke-free slices are too few, training and calibration are empty."""

    evaluated: np.ndarray
    training: np.ndarray
    calibration: np.ndarray
    stroke_free: np.ndarray  # those kept for false positives


def split(area_mm2: np.ndarray) -> SliceSplit:
    """Slices with >= 100 mm2 are evaluated; the stroke-free ones, shuffled, train 245, calibrate 30, rest is tested."""
    free = np.flatnonzero(area_mm2 == 0)
    np.random.default_rng(SPLIT_SEED).shuffle(free)
    evaluated = np.flatnonzero(area_mm2 >= EVALUATED_AREA_MM2)
    first, second = TRAINING_SLICES, TRAINING_SLICES + CALIBRATION_SLICES
    if len(free) < second:
        return SliceSplit(evaluated, free[:0], free[:0], free)
    return SliceSplit(evaluated, free[:first], free[first:second], free[second:])


def evaluated_share(parts: SliceSplit, share: float) -> SliceSplit:
    """The split with a random share of its evaluated slices, always the same ones. Raises UsageError."""
    if not 0 < share <= 1:
        raise UsageError(f"The share of slices is {share}, but a number above 0 and up to 1 is needed.")
    count = max(1, round(share * len(parts.evaluated)))
    chosen = np.random.default_rng(SPLIT_SEED).permutation(parts.evaluated)[:count]
    return replace(parts, evaluated=np.sort(chosen))


def load_slices(path: Path) -> SliceSet:
    """Read and check a SLICES.npz. Raises InputRefused."""
    path = Path(path)
    try:
        content = path.read_bytes()
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputRefused(
            f"{path} cannot be read as the slices of the benchmark ({error}). An .npz file with the arrays flair, "
            "lesion_packed and lesion_area_mm2 is needed. Check the path."
        ) from error
    _check(path, arrays)
    flair = arrays["flair"]
    lesion = np.unpackbits(arrays["lesion_packed"], axis=-1)[..., : flair.shape[-1]].astype(bool)
    patients = arrays.get("patient", np.arange(len(flair)))
    return SliceSet(flair, lesion, arrays["lesion_area_mm2"], patients, hashlib.sha256(content).hexdigest())


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    missing = [name for name in ("flair", "lesion_packed", "lesion_area_mm2") if name not in arrays]
    if missing:
        raise InputRefused(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}. Give the .npz file of the "
            "stroke FLAIR slices, with flair, lesion_packed and lesion_area_mm2."
        )
    flair, packed, area = (arrays[name] for name in ("flair", "lesion_packed", "lesion_area_mm2"))
    fits = flair.ndim == 3 and area.shape == flair.shape[:1]
    if not fits or packed.dtype != np.uint8 or packed.shape != (*flair.shape[:2], -(-flair.shape[2] // 8)):
        raise InputRefused(
            f"The arrays of {path} do not belong together: flair {flair.shape}, lesion_packed {packed.shape} of "
            f"{packed.dtype}, lesion_area_mm2 {area.shape}. Needed are (N, H, W), (N, H, ceil(W / 8)) uint8 and (N,)."
        )
    if not (area >= EVALUATED_AREA_MM2).any():
        raise InputRefused(
            f"No slice of {path} has a lesion of {EVALUATED_AREA_MM2} mm2 or more, so there is nothing to evaluate. "
            "Give slices with lesions."
        )
    if not (flair > 0).any(axis=(1, 2)).all():
        raise InputRefused(f"{path} has slices without any brain (all pixels 0). Remove them and run again.")
