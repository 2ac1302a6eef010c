"""`neurogen detect`: scans in; pseudo-healthy volume, anomaly map, lesions and a report out."""

import argparse
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.console import Console, explain
from neurogen.errors import Cancelled, NeuroGenError, SomeFailed, UsageError
from neurogen.outputs import check_destination, result_folder
from neurogen.progress import Progress, portion

if TYPE_CHECKING:
    from neurogen.anomaly import Detection, DetectionSettings

RECORD = "detect.json"
# Those of DetectionSettings that an option of the same name sets; their defaults live there.
OPTIONS = ("steps", "direction", "threshold", "seed", "batch_size", "minimum_lesion_ml")


@dataclass(frozen=True)
class Job:
    """One scan and the folder its results go to."""

    scan: Path
    folder: Path


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "detect",
        parents=[common],
        epilog=common.epilog,
        help="find what differs from a healthy brain",
        description="Write the pseudo-healthy reconstruction, the anomaly map, the lesions and a report of each scan. "
        "Research use only. Not a diagnosis.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="NIfTI, NRRD, MetaImage or a DICOM folder")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="results of one scan; of several: DIR/<name of the scan>"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument("--mask", type=Path, metavar="M", help="a brain mask of the scan, instead of computing it")
    parser.add_argument("--registered", action="store_true", help="the scan already lies in ICBM152 space")
    parser.add_argument("--no-bias-correction", action="store_true", help="the scan is free of a bias field")
    parser.add_argument(
        "--model",
        action="append",
        metavar="ID",
        help="a model of `neurogen models list`, or the folder of one; of several, the calibrated scores are averaged",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps of the correction (default: of the model)")
    parser.add_argument("--direction", choices=("both", "bright", "dark"), help="which deviations to report")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="healthy standard deviations above which a voxel is marked (default: of the model)",
    )
    parser.add_argument("--minimum-lesion-ml", type=float, metavar="ML", help="smaller components are not reported")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--batch-size", type=int, metavar="N", help="slices computed at once: fewer need less memory")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Detect in every input; the exit code of one, or SomeFailed when some of several could not be done."""
    jobs = plan(args.inputs, args.out)
    if args.mask and len(jobs) > 1:
        raise UsageError("--mask belongs to one scan, but several were given. Run them one at a time.")
    for job in jobs:
        check_destination(job.folder, RECORD, overwrite=args.overwrite)
    settings = settings_of(args)
    failed = [job for k, job in enumerate(jobs) if not _run_one(job, k, len(jobs), settings, args, console)]
    if failed:
        names = ", ".join(str(job.scan) for job in failed)
        raise SomeFailed(f"{len(failed)} of {len(jobs)} scans could not be done: {names}. The reasons stand above.")
    return 0


def plan(inputs: list[Path], out: Path) -> list[Job]:
    """One input goes to `out` itself; several to `out/<name>`, with the parent's name in front where names repeat."""
    if len(inputs) == 1:
        return [Job(inputs[0], out)]
    counts = Counter(scan_name(path) for path in inputs)
    names = [
        scan_name(path) if counts[scan_name(path)] == 1 else f"{path.resolve().parent.name}_{scan_name(path)}"
        for path in inputs
    ]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UsageError(f"Several scans would go to {out / repeated[0]}. Give each scan once, or one --out for each.")
    return [Job(path, out / name) for path, name in zip(inputs, names, strict=True)]


def scan_name(path: Path) -> str:
    """The file's or folder's name without the endings of image files."""
    name = path.resolve().name
    for ending in (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def settings_of(args: argparse.Namespace) -> "DetectionSettings":
    """The settings that the options ask for, on the device that is there."""
    from neurogen.anomaly import DetectionSettings
    from neurogen.environment import choose_device

    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    if args.model:
        given |= {"model": args.model[0], "ensemble": tuple(args.model[1:])}
    return DetectionSettings(
        **given,
        registered=args.registered,
        bias_correction=not args.no_bias_correction,
        device=choose_device(args.device),
    )


def detect_scan(
    job: Job, settings: "DetectionSettings", progress: Progress, *, mask: Path | None = None
) -> "Detection":
    """One scan from file to finished folder."""
    from neurogen import anomaly
    from neurogen.detection_files import estimated_bytes, write_detection
    from neurogen.models import ModelStore
    from neurogen.volumes import load_volume

    store = ModelStore()
    model = store.get(settings.model)
    for name in (settings.model, *settings.ensemble):
        store.get(name).verify()
    progress("reading", 0.0)
    volume = load_volume(job.scan)
    brain = load_volume(mask, as_labels=True) if mask else None
    check_destination(job.folder, RECORD, overwrite=True, needed_bytes=estimated_bytes(volume))
    with result_folder(job.folder) as part:
        detection = anomaly.detect(volume, settings, portion(progress, 0.02, 0.94), mask=brain)
        write_detection(part, detection, volume, settings, model, mask=brain, progress=portion(progress, 0.94, 1.0))
    progress("done", 1.0)
    return detection


def _run_one(
    job: Job, k: int, n: int, settings: "DetectionSettings", args: argparse.Namespace, console: Console
) -> bool:
    """Whether the scan was done. In a batch its failure is told and the next scan follows."""
    try:
        detection = detect_scan(job, settings, _progress_of(job, k, n, console), mask=args.mask)
    except Cancelled:
        raise
    except (NeuroGenError, MemoryError, RuntimeError, ValueError, OSError) as error:
        if n == 1:
            raise
        _tell_failure(job, error, console, verbose=args.verbose)
        return False
    _tell_result(job, detection, console)
    return True


def _progress_of(job: Job, k: int, n: int, console: Console) -> Progress:
    """The progress of scan k of n, whose stages carry the scan's name when there are several."""
    share = portion(console.progress, k / n, (k + 1) / n)
    return share if n == 1 else lambda stage, fraction: share(f"{scan_name(job.scan)}: {stage}", fraction)


def _tell_failure(job: Job, error: Exception, console: Console, *, verbose: bool) -> None:
    console.close()
    known = explain(error) or NeuroGenError(f"{type(error).__name__}: {error}")
    logging.error("%s: %s", job.scan, known, exc_info=error if verbose or known.exit_code == 1 else None)
    console.event(scan=str(job.scan), error=str(known), exit_code=known.exit_code)


def _tell_result(job: Job, detection: "Detection", console: Console) -> None:
    for warning in detection.warnings:
        console.close()
        logging.warning("%s: %s", job.scan.name, warning)
    volume_ml = sum(lesion.volume_ml for lesion in detection.table)
    console.say(f"{job.folder}: {len(detection.table)} marked regions, {volume_ml:.1f} ml. See report.html there.")
    console.event(result=str(job.folder), lesions=len(detection.table), volume_ml=round(volume_ml, 3))
