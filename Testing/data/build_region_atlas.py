"""Make Resources/Atlas/regions.nii.gz and regions.tsv from whole-head label maps (FreeSurfer numbers).

    python Testing/data/build_region_atlas.py FOLDER_OF_LABEL_MAPS OUTPUT_FOLDER

Each label map is painted like a T1w brain, laid on the ICBM152 template by the affine registration every scan goes
through, and votes at each voxel of the working grid at 2 mm. The cortex is then cut into lobes by planes at template
coordinates, and the voxels of the template brain that got no vote take their nearest region.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.preprocess.registration import register_to_template
from neurogen.preprocess.template import template_t1
from neurogen.synth.heads import FIRST_OUTER_LABEL, close_and_fill
from neurogen.volumes import Volume, load_volume, reorient_to_ras, resample_to, save_volume

STEP_MM = 2.0
SHAPE = tuple(int(n // STEP_MM) for n in GRID_SHAPE)
AFFINE = GRID_AFFINE @ np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]])
SULCAL_CSF = 24  # FreeSurfer: CSF outside the ventricles

# Voting classes: name -> FreeSurfer numbers. The cortex is cut into LOBES afterwards.
PAIRED = {
    "cerebral white matter": ((2, 25, 30, 136, 163), (41, 57, 62, 137, 164)),
    "cerebral cortex": ((3,), (42,)),
    "lateral ventricle": ((4, 5), (43, 44)),
    "thalamus": ((10,), (49,)),
    "caudate": ((11,), (50,)),
    "putamen": ((12,), (51,)),
    "pallidum": ((13,), (52,)),
    "hippocampus": ((17,), (53,)),
    "amygdala": ((18,), (54,)),
    "accumbens": ((26,), (58,)),
    "ventral diencephalon": ((28,), (60,)),
    "cerebellum": ((7, 8), (46, 47)),
}
SINGLE = {"third ventricle": (14, 72), "fourth ventricle": (15,), "brainstem": (16,), "optic chiasm": (85,)}
LOBES = ("frontal", "parietal", "temporal", "occipital", "insular")
T1_LIKE = {"white matter": 0.95, "cortex": 0.6, "ventricle": 0.15, "cerebellum": 0.7, "brainstem": 0.9}


def classes() -> dict[str, tuple[int, ...]]:
    """Voting class -> FreeSurfer numbers, left before right."""
    sides = ("left", "right")
    paired = {f"{side} {name}": numbers[k] for name, numbers in PAIRED.items() for k, side in enumerate(sides)}
    return paired | SINGLE


def painted(labels: np.ndarray) -> np.ndarray:
    """Label map -> an image with the contrast of a T1w scan, float32."""
    image = np.zeros(labels.shape, np.float32)
    image[(labels > 0) & (labels < FIRST_OUTER_LABEL)] = 0.7
    image[labels == SULCAL_CSF] = 0.15
    for name, numbers in classes().items():
        level = next((value for key, value in T1_LIKE.items() if key in name), 0.7)
        image[np.isin(labels, numbers)] = level
    return ndimage.gaussian_filter(image, 0.6)


def cropped(head: Volume) -> Volume:
    """The part of the head that holds the brain."""
    tissue = (head.array > 0) & (head.array < FIRST_OUTER_LABEL)
    box = ndimage.find_objects(tissue.astype(np.uint8))[0]
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return Volume(head.array[box], affine)


def votes_of(path: Path) -> np.ndarray:
    """(C, I, J, K) float32: how much of each voxel of the 2 mm grid is of each class, for one head."""
    head = cropped(reorient_to_ras(load_volume(path, as_labels=True)))
    tissue = (head.array > 0) & (head.array != SULCAL_CSF) & (head.array < FIRST_OUTER_LABEL)
    brain = close_and_fill(tissue, head.spacing_mm)
    pose = register_to_template(Volume(painted(head.array), head.affine), brain).scan_from_template
    members = [np.isin(head.array, numbers).astype(np.float32) for numbers in classes().values()]
    smooth = (ndimage.gaussian_filter(member, 0.7) for member in members)
    return np.stack([resample_to(Volume(s, head.affine), SHAPE, AFFINE, transform=pose).array for s in smooth])


def lobe_of(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Index into LOBES at template RAS mm. Planes along the central, lateral and parieto-occipital sulci.

    Drawn by eye on the template: within a centimeter of a sulcus the name may be that of the neighbor.
    """
    aside = np.abs(x)
    occipital = y < np.where(z > 10, -58 - 0.55 * (z - 10), -62)
    fissure = np.where(y > -35, np.minimum(-15 + 0.64 * (20 - y), 20), 15)
    temporal = (aside > 12) & (z < fissure) & ~((y > -5) & ((aside < 22) | (z > -12)) & (aside < 46))
    temporal &= (aside > 28) | (z < -4)
    insular = (aside > 26) & (aside <= 41) & (y > -22) & (y < 24) & (z > -13) & (z < 15)
    frontal = y > -10 - 0.42 * (z - 15)
    return np.select([insular, occipital, temporal, frontal], [4, 3, 2, 0], default=1)


def regions(votes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Labels (I, J, K) uint8 and their names, label 1 first; from the summed votes."""
    names = list(classes())
    winner = np.where(votes.sum(0) > 0.5 * votes.sum(0).max(), votes.argmax(0), -1)
    x, y, z = (AFFINE[a, a] * np.indices(SHAPE)[a] + AFFINE[a, 3] for a in range(3))
    lobe = lobe_of(x, y, z)
    labels, kept = np.zeros(SHAPE, np.uint8), []
    for index, name in enumerate(names):
        parts = {name: winner == index}
        if "cortex" in name:
            side = name.split()[0]
            parts = {f"{side} {lobe_name} cortex": (winner == index) & (lobe == k) for k, lobe_name in enumerate(LOBES)}
        for part_name, mask in parts.items():
            kept.append(part_name)
            labels[mask] = len(kept)
    return filled(labels), kept


def filled(labels: np.ndarray) -> np.ndarray:
    """Every voxel within 4 mm of the template brain gets a region: its own, or the nearest one."""
    template = resample_to(template_t1(), SHAPE, AFFINE).array > 0
    wanted = ndimage.binary_dilation(template, iterations=2)
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return np.where(wanted, labels[tuple(nearest)], 0).astype(np.uint8)


def main(source: Path, target: Path) -> None:
    total = np.zeros((len(classes()), *SHAPE), np.float32)
    for path in sorted(source.glob("*_labels.nii.gz")):
        total += votes_of(path)
        print(path.name, flush=True)
    labels, names = regions(total)
    target.mkdir(parents=True, exist_ok=True)
    save_volume(Volume(labels, AFFINE), target / "regions.nii.gz")
    with (target / "regions.tsv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table, delimiter="\t", lineterminator="\n")
        rows.writerow(["label", "name"])
        rows.writerows(enumerate(names, start=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
