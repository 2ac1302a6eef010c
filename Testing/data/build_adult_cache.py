"""Prepare the scans that the shipped adult models are trained on into one slice cache.

    python Testing/data/build_adult_cache.py DATA CACHE [--jobs 2]

DATA holds adult_t1_1mm/*_T1w.nii.gz (skull-stripped), adult_t1_whole_head_2mm/*_T1w.nii.gz with *_dlmuse.nii.gz and
stroke_flair_axial/slices.npz. CACHE then trains with `neurogen train autoencoder|reflect --data CACHE`.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes

from neurogen.evaluation.flair_slices import load_slices, split
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.preprocess.prepare import PreparationSettings, prepare
from neurogen.training.cache import to_uint8, write_index, write_scan
from neurogen.training.dataset import add_pictures
from neurogen.training.splits import kept_apart
from neurogen.volumes import Volume, load_volume

STRIPPED, WHOLE, FLAIR = "adult_t1_1mm", "adult_t1_whole_head_2mm", "stroke_flair_axial"
FLAIR_LEVEL = 83  # of the working grid: MNI z = 8 mm, where the FLAIR slices lie
FACTS = {
    "training_data": [
        {"name": "OpenNeuro ds002748, T1w, skull-stripped", "terms": "CC0", "scans": 36},
        {"name": "IXI, Hammersmith 3T, T1w at 2 mm, DLMUSE brain masks", "terms": "CC BY-SA 3.0", "scans": 61},
        {
            "name": "SOOP, OpenNeuro ds004889, one axial FLAIR slice a patient, free of acute stroke",
            "terms": "CC0",
            "scans": 245,
        },
    ],
    "licence": "CC BY-SA 4.0",
    "age_range": [20, 82],
}


def brain_of(path: Path, volume: Volume) -> Volume:
    """The brain mask of a training scan: its support, or its DLMUSE labels closed by about 3 mm and filled."""
    labels = path.with_name(path.name.replace("_T1w", "_dlmuse"))
    if not labels.exists():
        return Volume((volume.array > 0).astype(np.uint8), volume.affine)
    inside = np.pad(load_volume(labels, as_labels=True).array > 0, 3)
    filled = binary_fill_holes(binary_closing(inside, iterations=2))[3:-3, 3:-3, 3:-3]
    return Volume(filled.astype(np.uint8), volume.affine)


def add_scan(path: Path, cache: Path) -> str:
    """Prepare one scan unless the cache holds it; returns its id."""
    name = path.name.split("_")[0]
    if not (cache / f"{name}.npz").exists():
        volume = load_volume(path)
        scan = prepare(volume, PreparationSettings(), mask=brain_of(path, volume))
        write_scan(cache, name, to_uint8(scan.image, scan.brain), GRID_AFFINE)
        print(name, scan.facts, flush=True)
    return name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    rows = []
    with ProcessPoolExecutor(asked.jobs) as pool:
        for source in (STRIPPED, WHOLE):
            ids = list(
                pool.map(partial(add_scan, cache=asked.cache), sorted((asked.data / source).glob("*_T1w.nii.gz")))
            )
            apart = kept_apart(ids)
            rows += [{"id": i, "source": source, "split": apart.role(i), "contrast": "t1w"} for i in ids]
    write_index(asked.cache, "t1", rows)
    slices = load_slices(asked.data / FLAIR / "slices.npz")
    roles = split(slices.area_mm2)
    chosen = np.concatenate([roles.training, roles.calibration])
    names = ["train"] * len(roles.training) + ["calibrate"] * len(roles.calibration)
    add_pictures(asked.cache, "flair", slices.flair[chosen], level=FLAIR_LEVEL, contrast="flair", split=names)
    (asked.cache / "facts.json").write_text(json.dumps(FACTS, indent=1) + "\n")


if __name__ == "__main__":
    main()
