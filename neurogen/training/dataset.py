"""From a folder of scans, or a slice cache, to slices to train on and to what a manifest says of them."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.progress import Progress, silent
from neurogen.training.cache import SliceCache, pad_pictures, to_uint8, write_index, write_scan
from neurogen.training.splits import kept_apart

FACTS_FILE = "facts.json"
MASK_SUFFIX = "_mask"
UNKNOWN_TERMS = "not stated by whoever trained this model"
_CONTRASTS = {"t1w": "t1w", "t1": "t1w", "t2w": "t2w", "t2": "t2w", "flair": "flair", "pd": "pd", "pdw": "pd"}


def open_slices(data: Path, work: Path, *, progress: Progress = silent) -> SliceCache:
    """The slices of `data`: a slice cache as it is, or a folder of NIfTI scans, prepared into `work` first.

    Contrasts are read from file names (`sub-01_T1w.nii.gz`); a brain mask may lie beside a scan
    (`sub-01_T1w_mask.nii.gz`). Scans that `work` already holds are not prepared again; scans that cannot be prepared
    are left out and listed in work/refused.json. Of each contrast ten subjects are kept apart, a fifth where there are
    fewer than 50. Raises InputRefused when fewer than three scans remain.
    """
    data = Path(data)
    if any(data.glob("*index.json")):
        return SliceCache.load(data)
    scans = find_scans(data)
    work.mkdir(parents=True, exist_ok=True)
    refused: dict[str, str] = {}
    for k, path in enumerate(scans):
        progress(f"preparing {path.name}", k / len(scans))
        try:
            _prepare(path, work)
        except InputRefused as error:
            refused[path.name] = str(error)
    (work / "refused.json").write_text(json.dumps(refused, indent=1) + "\n", encoding="utf-8")
    kept = [path for path in scans if path.name not in refused]
    if len(kept) < 3:
        raise InputRefused(f"Only {len(kept)} of {len(scans)} scans could be prepared, 3 are needed: {refused}")
    write_index(work, "scans", _split_entries(kept))
    return SliceCache.load(work)


def find_scans(data: Path) -> list[Path]:
    """All NIfTI scans below a folder but masks. Raises InputRefused for none, one name twice, no known contrast."""
    found = sorted(p for p in Path(data).rglob("*") if p.name.endswith((".nii", ".nii.gz")))
    scans = [p for p in found if not scan_id(p).endswith(MASK_SUFFIX)]
    if not scans:
        raise InputRefused(f"{data} holds neither NIfTI scans nor a slice cache. Give the folder of the scans.")
    counts = Counter(scan_id(p) for p in scans)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise InputRefused(f"{data} holds several scans named {', '.join(twice[:5])}. Give each its own name.")
    for path in scans:
        contrast_of(path)
    return scans


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
        return json.loads(path.read_text(encoding="utf-8"))
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
    from neurogen.preprocess.prepare import prepare
    from neurogen.volumes import load_volume

    if (work / f"{scan_id(path)}.npz").exists():
        return
    masks = [path.with_name(scan_id(path) + MASK_SUFFIX + ending) for ending in (".nii.gz", ".nii")]
    mask = next((load_volume(m, as_labels=True) for m in masks if m.exists()), None)
    scan = prepare(load_volume(path), mask=mask)
    write_scan(work, scan_id(path), to_uint8(scan.image, scan.brain), GRID_AFFINE)


def _split_entries(scans: list[Path]) -> list[dict[str, str]]:
    """Index entries whose split is drawn per contrast and by subject, the part of the name before the first `_`."""
    entries = [{"id": scan_id(p), "source": p.parent.name, "contrast": contrast_of(p)} for p in scans]
    for contrast in sorted({e["contrast"] for e in entries}):
        mine = [e for e in entries if e["contrast"] == contrast]
        subjects = {e["id"].split("_")[0] for e in mine}
        split = kept_apart(subjects, n=min(10, max(2, len(subjects) // 5)))
        for entry in mine:
            entry["split"] = split.role(entry["id"].split("_")[0])
    return entries
