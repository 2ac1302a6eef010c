"""Folders of label maps with their scans: which there are, which are kept apart from training, and how two agree."""

import glob
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused

LABEL_SUFFIX, SCAN_SUFFIX = "_regions.nii.gz", "_T2w.nii.gz"
_KEPT_EVERY, _KEPT_FROM = 4, 2


def find_maps(data: Path) -> dict[str, Path]:
    """Name -> label map, sorted by name; linked folders are followed. Raises InputRefused below four maps."""
    files = glob.glob(f"{glob.escape(str(data))}/**/*{LABEL_SUFFIX}", recursive=True)
    found = {Path(file).name.removesuffix(LABEL_SUFFIX): Path(file) for file in sorted(files)}
    if len(found) < _KEPT_EVERY:
        raise InputRefused(
            f"{data} holds {len(found)} label maps NAME{LABEL_SUFFIX}, but at least {_KEPT_EVERY} are needed (with "
            f"NAME{SCAN_SUFFIX} beside them where there is a scan). Add them and start again."
        )
    return dict(sorted(found.items()))


def split_names(maps: dict[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Maps to train on, and maps kept apart: every fourth, from the third on."""
    kept = {name: path for k, (name, path) in enumerate(maps.items()) if k % _KEPT_EVERY == _KEPT_FROM}
    return {name: path for name, path in maps.items() if name not in kept}, kept


def dice_of(found: np.ndarray, given: np.ndarray, labels: Iterable[int]) -> np.ndarray:
    """Dice of each label: 2 |A and B| / (|A| + |B|); NaN where neither has it."""
    top = max(int(max(labels)), int(found.max()), int(given.max())) + 1
    both = np.bincount(given[found == given].ravel(), minlength=top)
    total = np.bincount(found.ravel(), minlength=top) + np.bincount(given.ravel(), minlength=top)
    with np.errstate(invalid="ignore"):
        return (2 * both / total)[np.asarray(list(labels))]
