"""`neurogen demo`: the main job on a case whose answer is known, or on the user's own scan."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.commands.detect import RECORD, Job, detect_scan
from neurogen.console import Console
from neurogen.errors import NeuroGenError
from neurogen.outputs import check_destination

if TYPE_CHECKING:
    import numpy as np

    from neurogen.anomaly import Detection
    from neurogen.volumes import Volume

FOLDER = Path("neurogen-demo")
KIND, VOLUME_ML, CONTRAST, SEED = "dark", 8.0, 2.5, 3
FOUND_SHARE = 0.1  # a lesion is found when at least this part of it is marked


@dataclass(frozen=True)
class Answer:
    """How well the marked regions meet the planted lesion."""

    overlap: float  # Dice of the lesion and the marked regions that touch it, in [0, 1]
    share_marked: float  # of the lesion, in [0, 1]
    distance_mm: float | None  # between the centroids of the two; None when nothing touches the lesion
    elsewhere_ml: float  # marked where nothing was planted

    @property
    def found(self) -> bool:
        return self.share_marked >= FOUND_SHARE


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "demo", parents=[common], epilog=common.epilog, help="find a lesion planted in the ICBM152 template",
        description="Without IMAGE: plants a lesion of known place in the ICBM152 T1 template, runs `neurogen detect` "
        f"and prints whether it was found. With IMAGE: runs it on that scan. Writes ./{FOLDER}/.",
    )  # fmt: skip
    parser.add_argument("image", nargs="?", type=Path, metavar="IMAGE")
    parser.add_argument("--scan-only", type=Path, metavar="FILE", help="only write the scan with the planted lesion")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    from neurogen.anomaly import DetectionSettings
    from neurogen.environment import choose_device

    if args.scan_only is not None:
        return _write_scan(args.scan_only, console)
    settings = DetectionSettings(device=choose_device(args.device))
    if args.image is not None:
        return _detect_in(args.image, settings, console)
    job = Job(FOLDER / "planted_T1w.nii.gz", FOLDER / "results")
    check_destination(job.folder, RECORD, overwrite=True)
    truth, place = plant(job.scan)
    console.say(
        f"A {KIND} lesion of {VOLUME_ML:g} ml, {CONTRAST:g} local standard deviations, was planted in the ICBM152 T1 "
        f"template at RAS {_point(place)} mm: {job.scan}"
    )
    detection = detect_scan(job, settings, console.progress)
    found = answer(detection, truth)
    _tell(found, job, console)
    if not found.found:
        raise NeuroGenError("The planted lesion was not found; this installation does not work as it should.")
    return 0


def plant(path: Path) -> "tuple[Volume, np.ndarray]":
    """Write the template with its lesion to `path`; return the lesion's mask and its centroid (RAS mm)."""
    import numpy as np

    from neurogen.preprocess.template import template_t1
    from neurogen.synth.lesions import plant_lesion
    from neurogen.volumes import Volume, save_volume

    template = template_t1()
    rng = np.random.default_rng(SEED)
    image = np.clip(template.array / template.array.max(), 0, 1)
    planted = plant_lesion(image, image > 0, template.spacing_mm, KIND, VOLUME_ML, CONTRAST, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_volume(Volume((1000 * planted.image).astype(np.int16), template.affine), path)
    truth = Volume(planted.mask.astype(np.uint8), template.affine)
    save_volume(truth, path.parent / "planted_lesion.nii.gz")
    return truth, _world(template.affine, planted.centroid_voxel)


def answer(detection: "Detection", truth: "Volume") -> Answer:
    """Compare the marked regions with the planted lesion, both on the scan's grid."""
    import numpy as np

    from neurogen.affines import voxel_volume_ml

    labels, lesion = detection.lesions.array, truth.array > 0
    touching = np.isin(labels, np.setdiff1d(labels[lesion], [0]))
    overlap = 2 * np.count_nonzero(touching & lesion) / (np.count_nonzero(touching) + np.count_nonzero(lesion))
    distance = None
    if touching.any():
        centers = [_world(truth.affine, np.argwhere(mask).mean(axis=0)) for mask in (touching, lesion)]
        distance = float(np.linalg.norm(centers[0] - centers[1]))
    elsewhere = np.count_nonzero((labels > 0) & ~touching) * voxel_volume_ml(truth.affine)
    return Answer(float(overlap), float(touching[lesion].mean()), distance, float(elsewhere))


def _write_scan(path: Path, console: Console) -> int:
    place = plant(path)[1]
    console.say(f"{path}: the ICBM152 T1 template with a {KIND} lesion of {VOLUME_ML:g} ml at RAS {_point(place)} mm")
    console.event(scan=str(path), lesion_ras_mm=[float(x) for x in place])
    return 0


def _detect_in(image: Path, settings, console: Console) -> int:
    job = Job(image, FOLDER / "results")
    check_destination(job.folder, RECORD, overwrite=True)
    detection = detect_scan(job, settings, console.progress)
    console.say(f"{len(detection.table)} marked regions. Open {job.folder / 'report.html'}")
    console.event(result=str(job.folder), lesions=len(detection.table))
    return 0


def _tell(found: Answer, job: Job, console: Console) -> None:
    distance = "no marked region touches it" if found.distance_mm is None else f"{found.distance_mm:.1f} mm"
    console.say(
        f"Hit: {'yes' if found.found else 'NO'}   overlap (Dice): {found.overlap:.2f}   "
        f"distance of centroids: {distance}   marked elsewhere: {found.elsewhere_ml:.1f} ml\n"
        f"Open {job.folder / 'report.html'}"
    )
    console.event(result=str(job.folder), hit=found.found, dice=found.overlap, distance_mm=found.distance_mm,
                  elsewhere_ml=found.elsewhere_ml)  # fmt: skip


def _world(affine: "np.ndarray", voxel) -> "np.ndarray":
    import numpy as np

    return affine[:3, :3] @ np.asarray(voxel, float) + affine[:3, 3]


def _point(point: "np.ndarray") -> str:
    return "(" + ", ".join(f"{x:.0f}" for x in point) + ")"
