"""From a folder of scans, or a slice cache, to slices to train on and to what a manifest says of them."""

import json
import re
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.progress import Progress, silent
from neurogen.training.cache import SliceCache, pad_pictures, to_uint8, write_index, write_scan
from neurogen.training.splits import kept_apart

FACTS_FILE = "facts.json"
UNKNOWN_TERMS = "not stated by whoever trained this model"
_CONTRASTS = {"t1w": "t1w", "t1": "t1w", "t2w": "t2w", "t2": "t2w", "flair": "flair", "pd": "pd", "pdw": "pd"}


def open_slices(data: Path, work: Path, *, progress: Progress = silent) -> SliceCache:
    """The slices of `data`: a slice cache as it is, or a folder of NIfTI scans, prepared into `work` first.

    Scans that `work` already holds are not prepared again. Contrasts are read from file names (`_T1w`, `_FLAIR`).
    Of each contrast ten subjects are kept apart (a fifth where there are fewer than 50).
    """
    data = Path(data)
    if any(data.glob("*index.json")):
        return SliceCache.load(data)
    scans = sorted(p for p in data.rglob("*") if p.name.endswith((".nii", ".nii.gz")))
    if not scans:
        raise InputRefused(f"{data} holds neither NIfTI scans nor a slice cache. Give the folder of the scans.")
    work.mkdir(parents=True, exist_ok=True)
    for k, path in enumerate(scans):
        progress(f"preparing {path.name}", k / len(scans))
        if not (work / f"{scan_id(path)}.npz").exists():
            _prepare(path, work)
    write_index(work, "scans", _split_entries(scans))
    return SliceCache.load(work)


def add_pictures(folder: Path, name: str, pictures: np.ndarray, *, level: int, contrast: str, split: list[str]) -> None:
    """Add single-level pictures (N, rows, columns) uint8, one a subject, to a cache folder as stacks of one level."""
    padded = pad_pictures(pictures)
    ids = [f"{name}-{k:04d}" for k in range(len(padded))]
    for subject, picture in zip(ids, padded, strict=True):
        write_scan(folder, subject, picture[::-1].T[:, :, None], GRID_AFFINE, first_level=level)
    rows = [{"id": i, "source": name, "split": s, "contrast": contrast} for i, s in zip(ids, split, strict=True)]
    write_index(folder, name, rows)


def data_facts(folder: Path, cache: SliceCache) -> dict:
    """The manifest keys `training_data`, `licence` and `age_range` for the cache of `folder`.

    They are taken from facts.json beside the scans where somebody wrote one; otherwise they state what is unknown.
    """
    path = Path(folder) / FACTS_FILE
    if path.is_file():
        return json.loads(path.read_text())
    scans = len(np.unique(cache.subject[cache.where(split="train")]))
    return {
        "training_data": [{"name": Path(folder).name, "terms": UNKNOWN_TERMS, "scans": scans}],
        "licence": UNKNOWN_TERMS,
        "age_range": [0, 120],
    }


def scan_id(path: Path) -> str:
    """File name without .nii or .nii.gz."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name)


def contrast_of(path: Path) -> str:
    """Contrast from the last part of a BIDS-like name: sub-01_T1w.nii.gz -> "t1w"."""
    suffix = scan_id(path).split("_")[-1].lower()
    if suffix not in _CONTRASTS:
        known = ", ".join(f"_{name}" for name in _CONTRASTS)
        raise InputRefused(f"The contrast of {path.name} is not in its name. Let it end in one of {known}.")
    return _CONTRASTS[suffix]


def _prepare(path: Path, work: Path) -> None:
    from neurogen.preprocess.prepare import PreparationSettings, prepare
    from neurogen.volumes import load_volume

    scan = prepare(load_volume(path), PreparationSettings())
    write_scan(work, scan_id(path), to_uint8(scan.image, scan.brain), GRID_AFFINE)


def _split_entries(scans: list[Path]) -> list[dict[str, str]]:
    entries = [{"id": scan_id(p), "source": p.parent.name, "contrast": contrast_of(p)} for p in scans]
    for contrast in {e["contrast"] for e in entries}:
        mine = [e for e in entries if e["contrast"] == contrast]
        split = kept_apart([e["id"].split("_")[0] for e in mine], n=min(10, max(2, len(mine) // 5)))
        for entry in mine:
            entry["split"] = split.role(entry["id"].split("_")[0])
    return entries
