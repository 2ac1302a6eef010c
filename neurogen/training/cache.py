"""Axial slices of many prepared scans, ready to draw batches from.

On disk a cache is a folder with one `<id>.npz` a scan and one or more `*index.json` that list the scans. A scan is
`image`: uint8 (160, 192, K) on the working grid, 0 outside the brain, 255 = 1.0; K = 160, or fewer from `first_level`
on. From these one memory-mapped array of all slices is built once, so that any number of scans trains in little memory.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurogen.errors import InputRefused
from neurogen.preprocess.grid import GRID_SHAPE, to_slices

SLICE_SHAPE = (GRID_SHAPE[1], GRID_SHAPE[0])
MINIMUM_COVERAGE = 0.02
"""Share of the picture that must be brain: below it (about 600 mm2) there is nothing to learn from."""


@dataclass(frozen=True)
class SliceCache:
    """N axial slices: images (N, 192, 160) uint8 (255 = 1.0, 0 = outside the brain); the rest (N,).

    subject : id of the scan; contrast : its name ("t1w", "flair"); level : slice index k on the working grid
    coverage : share of the picture that is brain; split : "train", "calibrate" or "test", "" where unknown
    """

    images: np.ndarray
    subject: np.ndarray
    contrast: np.ndarray
    level: np.ndarray
    coverage: np.ndarray
    split: np.ndarray

    @classmethod
    def load(cls, folder: Path, *, minimum_coverage: float = MINIMUM_COVERAGE) -> "SliceCache":
        """The slices of a cache folder, memory-mapped; the array is built when scans or coverage have changed."""
        folder = Path(folder)
        entries = read_index(folder)
        key = _key(folder, entries, minimum_coverage)
        array, table = folder / f"slices-{key}.u8", folder / f"slices-{key}.table"
        if not (array.exists() and table.exists()):
            _build(folder, entries, array, table, minimum_coverage)
        with np.load(table) as columns:
            named = {name: columns[name] for name in columns.files}
        shape = (len(named["level"]), *SLICE_SHAPE)
        return cls(images=np.memmap(array, np.uint8, mode="r", shape=shape), **named)

    @property
    def brain(self) -> np.ndarray:
        """(N, 192, 160) bool, computed when asked for: `cache.images[k] > 0` is cheaper for one slice."""
        return self.images > 0

    def __len__(self) -> int:
        return len(self.images)

    def where(self, *, split: str | None = None, contrast: str | None = None) -> np.ndarray:
        """Indices (M,) of the slices of a split, of a contrast, or of both."""
        chosen = np.ones(len(self), bool)
        if split is not None:
            chosen &= self.split == split
        if contrast is not None:
            chosen &= self.contrast == contrast
        return np.flatnonzero(chosen)


def pad_pictures(images: np.ndarray) -> np.ndarray:
    """(N, h, w) -> (N, 192, 160), zeros around, one more below and to the right where odd. Never rescaled.

    Raises InputRefused when a picture is larger than the working grid.
    """
    rows, columns = SLICE_SHAPE[0] - images.shape[1], SLICE_SHAPE[1] - images.shape[2]
    if rows < 0 or columns < 0:
        raise InputRefused(f"Slices of {images.shape[1:]} do not fit {SLICE_SHAPE}. Crop them around the brain.")
    pads = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(images, pads)


def write_scan(folder: Path, name: str, image: np.ndarray, affine: np.ndarray, *, first_level: int = 0) -> Path:
    """Add a prepared scan, image (160, 192, K) uint8, 0 outside the brain, to a cache folder; see `to_uint8`."""
    _check_scan(name, image)
    path = Path(folder) / f"{name}.npz"
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez_compressed(stream, image=image, affine=np.asarray(affine, np.float64), first_level=first_level)
    os.replace(part, path)
    return path


def to_uint8(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Image in [0, 1] to 0..255, at least 1 inside the brain, so that `> 0` stays the brain, and 0 outside."""
    levels = np.clip(np.round(image * 255), 1, 255).astype(np.uint8)
    return np.where(brain, levels, np.uint8(0))


def write_index(folder: Path, name: str, scans: Sequence[dict[str, str]]) -> Path:
    """Write `<name>_index.json`: a list of {"id", "source", "split", "contrast"}."""
    path = Path(folder) / f"{name}_index.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(list(scans), indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def read_index(folder: Path) -> list[dict[str, str]]:
    """The scans of all index files of a cache folder, each with id, source, split and contrast.

    A scan without a contrast has that of its index: `t1_index.json` means "t1w". Raises InputRefused when there is
    none, or when a listed scan is missing.
    """
    entries = []
    for path in sorted(Path(folder).glob("*index.json")):
        listed = json.loads(path.read_text(encoding="utf-8"))
        default = {"t1": "t1w", "t2": "t2w"}.get(prefix := path.stem.split("_")[0], prefix)
        rows = listed["scans"] if isinstance(listed, dict) else listed
        entries += [{"source": "", "split": "", "contrast": default, **row} for row in rows]
    missing = [e["id"] for e in entries if not (Path(folder) / f"{e['id']}.npz").exists()]
    if not entries or missing:
        what = f"lacks the scans {missing[:5]}" if missing else "has no index of prepared scans"
        raise InputRefused(f"The slice cache {folder} {what}. Prepare the scans again.")
    return entries


def _key(folder: Path, entries: list[dict[str, str]], minimum_coverage: float) -> str:
    """Short hash of what the array depends on: the scans, their sizes and times, and the coverage asked for."""
    stats = [(folder / f"{e['id']}.npz").stat() for e in entries]
    facts = [entries, [(s.st_size, s.st_mtime_ns) for s in stats], minimum_coverage]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _build(folder: Path, entries: list[dict], array: Path, table: Path, minimum_coverage: float) -> None:
    """Write all kept slices one behind the other, and the table of what each of them is."""
    columns: dict[str, list] = {name: [] for name in ("subject", "contrast", "level", "coverage", "split")}
    part = array.with_suffix(f".{os.getpid()}.part")  # two trainings may build at once
    with part.open("wb") as stream:
        for entry in entries:
            image, first_level = _read_scan(folder / f"{entry['id']}.npz")
            pictures = to_slices(image)
            coverage = (pictures > 0).mean((1, 2), dtype=np.float32)
            kept = np.flatnonzero(coverage >= minimum_coverage)
            stream.write(pictures[kept].tobytes())
            columns["level"].append((kept + first_level).astype(np.int16))
            columns["coverage"].append(coverage[kept])
            for name, value in (("subject", entry["id"]), ("contrast", entry["contrast"]), ("split", entry["split"])):
                columns[name].append(np.full(len(kept), value))
    if not sum(map(len, columns["level"])):
        part.unlink()
        raise InputRefused(
            f"No scan of {folder} has {minimum_coverage:.0%} brain on any level: there is no slice to train on."
        )
    with table.open("wb") as stream:
        np.savez(stream, **{name: np.concatenate(values) for name, values in columns.items()})
    os.replace(part, array)


def _read_scan(path: Path) -> tuple[np.ndarray, int]:
    try:
        with np.load(path) as scan:
            image, first_level = scan["image"], int(scan["first_level"]) if "first_level" in scan else 0
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputRefused(f"{path} is not a prepared scan ({error}). Prepare it again.") from error
    _check_scan(str(path), image)
    return image, first_level


def _check_scan(name: str, image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[:2] != GRID_SHAPE[:2] or image.dtype != np.uint8:
        raise InputRefused(f"{name} holds {image.dtype} {image.shape}, but uint8 {GRID_SHAPE[:2]} x levels is needed.")
