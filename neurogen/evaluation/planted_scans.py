"""The healthy scans of the planted benchmark: who takes which part, and each of them prepared once.

The data folder holds `adult_t1_1mm` (skull-stripped), `adult_t1_whole_head_2mm` (with `*_dlmuse` labels, of which every
label above 0 is brain) and, where there are any, `ms_mni_1mm`. Ages come from a `participants.csv` beside the scans.
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from neurogen.errors import InputRefused
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.training.cache import to_uint8, write_scan
from neurogen.training.splits import SubjectSplit, kept_apart
from neurogen.volumes import Volume, load_volume, resample_to

SOURCES = {"1mm": "adult_t1_1mm", "2mm": "adult_t1_whole_head_2mm"}
MS_FOLDER = "ms_mni_1mm"
KEPT_APART = 10  # of each source: half calibrate, half test
CLOSING_MM = 3.0


@dataclass(frozen=True)
class ScanFile:
    """One scan on disk. role: train, calibrate, test or ms; source: key of SOURCES or ms; age NaN where unknown."""

    id: str
    path: Path
    labels: Path | None
    source: str
    role: str
    age_years: float = float("nan")


@dataclass(frozen=True, eq=False)
class GridScan:
    """A scan on the working grid: image (160, 192, 160) float32 in [0, 1], 0 outside the brain."""

    image: np.ndarray
    scan_from_grid: np.ndarray  # (4, 4), RAS mm of the template to RAS mm of the scan

    @property
    def brain(self) -> np.ndarray:
        return self.image > 0


def list_scans(folder: Path) -> list[ScanFile]:
    """All healthy T1 scans of a data folder with their roles. Raises InputRefused when there are none."""
    found = []
    for source, name in SOURCES.items():
        paths = {path.name.removesuffix("_T1w.nii.gz"): path for path in sorted((folder / name).glob("*_T1w.nii.gz"))}
        roles, ages = _roles(sorted(paths)), _ages(folder / name)
        for subject, path in paths.items():
            labels = path.with_name(f"{subject}_dlmuse.nii.gz")
            kept = labels if labels.exists() else None
            found.append(ScanFile(subject, path, kept, source, roles[subject], ages.get(subject, float("nan"))))
    if not found:
        raise InputRefused(
            f"{folder} holds no scans to plant lesions in: folders {' and '.join(SOURCES.values())} with *_T1w.nii.gz "
            "are needed. Give the folder that contains them."
        )
    return found


def default_cache(folder: Path) -> Path:
    """Where the prepared scans of this data folder are kept for the next run."""
    from platformdirs import user_cache_path

    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return user_cache_path("NeuroGen", appauthor=False) / "prepared" / key


def list_ms_patients(folder: Path) -> list[ScanFile]:
    """Patients with a T1 and lesion labels; empty where the folder has none."""
    paths = sorted((folder / MS_FOLDER).glob("*_T1.nii.gz"))
    pairs = [(path, path.with_name(path.name.replace("_T1.", "_lesions."))) for path in paths]
    return [
        ScanFile(path.name.removesuffix("_T1.nii.gz"), path, labels, "ms", "ms") for path, labels in pairs
        if labels.exists()
    ]  # fmt: skip


def prepared(scan: ScanFile, cache: Path) -> GridScan:
    """The scan on the working grid, from the cache folder or prepared now and written there.

    The folder has the format of `neurogen.training.cache`, so that what training prepared is used again.
    """
    path = cache / f"{scan.id}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _prepare_into(scan, cache)
    with np.load(path) as file:
        return GridScan(file["image"].astype(np.float32) / 255, file["affine"])


def ms_lesions(scan: ScanFile, on_grid: GridScan) -> np.ndarray:
    """(160, 192, 160) bool: the patient's lesion labels on the working grid, inside the brain."""
    labels = load_volume(scan.labels, as_labels=True)
    mask = Volume(labels.array > 0, labels.affine)
    moved = resample_to(mask, GRID_SHAPE, GRID_AFFINE, order=0, transform=on_grid.scan_from_grid)
    return moved.array & on_grid.brain


def brain_of_labels(labels: Volume) -> Volume:
    """Every label above 0, closed by 3 mm, holes filled."""
    turns = max(int(np.ceil(CLOSING_MM / 2 / min(labels.spacing_mm))), 1)
    padded = np.pad(labels.array > 0, turns + 1)
    closed = ndimage.binary_closing(padded, iterations=turns)
    inner = np.s_[turns + 1 : -turns - 1]
    return Volume(ndimage.binary_fill_holes(closed)[inner, inner, inner], labels.affine)


def _prepare_into(scan: ScanFile, cache: Path) -> None:
    from neurogen.preprocess.prepare import prepare

    volume = load_volume(scan.path)
    if scan.source == "2mm" and scan.labels is not None:
        mask = brain_of_labels(load_volume(scan.labels, as_labels=True))
    else:
        mask = volume.with_array(volume.array > 0)  # skull-stripped scans
    result = prepare(volume, mask=mask)
    write_scan(cache, scan.id, to_uint8(result.image, result.brain), result.scan_from_grid)


def _roles(ids: list[str]) -> dict[str, str]:
    """train, calibrate or test for each id; a source of ten scans or fewer trains nothing."""
    if len(ids) > KEPT_APART:
        parts = kept_apart(ids, n=KEPT_APART)
    else:
        parts = SubjectSplit(train=(), calibrate=tuple(ids[::2]), test=tuple(ids[1::2]))
    return {subject: parts.role(subject) for subject in ids}


def _ages(folder: Path) -> dict[str, float]:
    """Years by subject from `participants.csv` (columns subject, age_years); empty where there is no such file."""
    path = folder / "participants.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"subject", "age_years"} <= set(rows[0]):
        raise InputRefused(f"{path} needs the columns subject and age_years; it has {', '.join(rows[0])}.")
    return {row["subject"]: float(row["age_years"]) for row in rows if row["age_years"]}
