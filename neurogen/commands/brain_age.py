"""`neurogen brain-age`: label maps of newborns in; the age, the regions and a report out."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.commands.detect import Job, plan, scan_name
from neurogen.console import Console, explain
from neurogen.errors import Cancelled, InputRefused, NeuroGenError, SomeFailed, UsageError
from neurogen.outputs import check_destination, result_folder
from neurogen.progress import Progress, portion

if TYPE_CHECKING:
    from neurogen.brain_age.age_model import AgeModel
    from neurogen.brain_age.estimate import AgeEstimate, AgeSettings
    from neurogen.models import Model

RECORD = "age.json"
SUMMARY = "brain_age.tsv"
# Those of neurogen.brain_age.growth, written out: the command line starts without numpy.
STRATA = ("all", "term", "preterm", "female", "male")
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "brain-age",
        parents=[common],
        epilog=common.epilog,
        help="read a newborn's brain age from 86 regions",
        description="Read the postmenstrual age from a Draw-EM label map (87 regions, as the dHCP's "
        "desc-drawem87_dseg) at 0.5 mm, up to 0.8 mm resampled. Writes age.json, regions.tsv and report.html for "
        f"each scan, and {SUMMARY} for several. Research use only. Not a diagnosis.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SEG", help="label maps, or a folder of label maps (NIfTI, NRRD, ...)"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="results of one scan; of several: DIR/<name of the scan>"
    )
    parser.add_argument("--age", type=float, metavar="WEEKS", help="postmenstrual age at the scan, when it is known")
    parser.add_argument("--charts", choices=STRATA, default="all", help="the infants to compare regions with")
    parser.add_argument("--model", default="neonatal-age", metavar="ID", help="an age model, or the folder of one")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Read every scan; a table of all when there are several."""
    from neurogen.brain_age.age_model import load_age_model
    from neurogen.brain_age.estimate import AgeSettings
    from neurogen.models import ModelStore

    scans = find_scans(args.inputs)
    several = len(scans) > 1 or any(path.is_dir() for path in args.inputs)
    if several and args.age is not None:
        raise UsageError("--age belongs to one scan, but several were given. Run them one at a time, or without --age.")
    jobs = [Job(scan, args.out / scan_name(scan)) for scan in scans] if len(scans) == 1 and several else None
    jobs = jobs or plan(scans, args.out)
    for job in jobs:
        check_destination(job.folder, RECORD, overwrite=args.overwrite)
    model = ModelStore().get(args.model)
    loaded, settings = load_age_model(model), AgeSettings(args.age, args.charts)
    done = [_run_one(job, k, len(jobs), (model, loaded), settings, args, console) for k, job in enumerate(jobs)]
    if several:
        _write_summary(args.out, [(job, one) for job, one in zip(jobs, done) if one is not None], console)
    failed = [str(job.scan) for job, one in zip(jobs, done) if one is None]
    if failed:
        names = ", ".join(failed)
        raise SomeFailed(f"{len(failed)} of {len(jobs)} scans could not be done: {names}. The reasons stand above.")
    return 0


def find_scans(inputs: list[Path]) -> list[Path]:
    """The given files, and of a folder its label maps: those with `dseg` in the name, if there are any, else all."""
    found = []
    for path in inputs:
        if not path.is_dir():
            found.append(path)
            continue
        files = sorted(file for file in path.iterdir() if file.name.lower().endswith(_ENDINGS) and file.is_file())
        chosen = [file for file in files if "dseg" in file.name.lower()] or files
        if not chosen:
            raise InputRefused(f"{path} holds no label map ({', '.join(_ENDINGS)}). Give the files, or their folder.")
        found += chosen
    return found


def read_scan(job: Job, model: "tuple[Model, AgeModel]", settings: "AgeSettings", progress: Progress) -> "AgeEstimate":
    """One label map from file to finished folder."""
    from neurogen.brain_age.estimate import estimate_age
    from neurogen.commands.age_files import write_age
    from neurogen.volumes import load_volume

    progress("reading", 0.0)
    volume = load_volume(job.scan, as_labels=True)
    with result_folder(job.folder) as part:
        estimate = estimate_age(volume, model[1], settings, portion(progress, 0.1, 0.7))
        progress("drawing charts", 0.7)
        write_age(part, estimate, volume, *model)
    progress("done", 1.0)
    return estimate


def _run_one(job, k: int, n: int, model, settings, args, console: Console) -> "AgeEstimate | None":
    """The estimate, or None when this scan of a batch failed; the failure is told and the next one follows."""
    try:
        estimate = read_scan(job, model, settings, portion(console.progress, k / n, (k + 1) / n))
    except Cancelled:
        raise
    except (NeuroGenError, MemoryError, ValueError, OSError) as error:
        if n == 1:
            raise
        known = explain(error) or NeuroGenError(f"{type(error).__name__}: {error}")
        console.close()
        logging.error("%s: %s", job.scan, known, exc_info=error if args.verbose or known.exit_code == 1 else None)
        console.event(scan=str(job.scan), error=str(known), exit_code=known.exit_code)
        return None
    _tell(job, estimate, console)
    return estimate


def _tell(job: Job, estimate: "AgeEstimate", console: Console) -> None:
    for warning in estimate.warnings:
        console.close()
        logging.warning("%s: %s", job.scan.name, warning)
    low, high = estimate.interval_90
    gap = "" if estimate.gap is None else f", gap {estimate.gap:+.2f} (corrected {estimate.corrected_gap:+.2f})"
    console.say(f"{job.folder}: {estimate.predicted:.2f} weeks (90 %: {low:.2f} to {high:.2f}){gap}. See report.html.")
    console.event(result=str(job.folder), predicted_weeks=estimate.predicted, interval_90=[low, high],
                  corrected_gap_weeks=estimate.corrected_gap)  # fmt: skip


def _write_summary(out: Path, done: "list[tuple[Job, AgeEstimate]]", console: Console) -> None:
    """One line a scan in DIR/brain_age.tsv."""
    columns = ("scan", "predicted_weeks", "low_90", "high_90", "distance_percentile", "brain_ml", "warnings")
    lines = ["\t".join(columns)]
    for job, one in done:
        numbers = (one.predicted, *one.interval_90, one.distance_percentile, one.features.volume_ml.sum())
        lines.append("\t".join([job.folder.name, *(f"{x:.3f}" for x in numbers), " ".join(one.warnings)]))
    if done:
        part = out / f".{SUMMARY}.part"
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        part.replace(out / SUMMARY)
        console.say(f"{len(done)} scans: {out / SUMMARY}")
