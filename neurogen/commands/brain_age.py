"""`neurogen brain-age`: label maps or brain-extracted T2w scans of newborns in; age, regions and a report out."""

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.commands.age_inputs import ages_of, find_scans, read_input
from neurogen.commands.detect import Job, plan, scan_name
from neurogen.console import Console, explain
from neurogen.errors import Cancelled, NeuroGenError, SomeFailed
from neurogen.outputs import check_destination, result_folder
from neurogen.progress import Progress, portion

if TYPE_CHECKING:
    from neurogen.brain_age.age_model import AgeModel
    from neurogen.brain_age.estimate import AgeEstimate, AgeSettings
    from neurogen.brain_age.segmentation import Segmented
    from neurogen.models import Model
    from neurogen.volumes import Volume

RECORD, REGIONS = "age.json", "regions.nii.gz"
SUMMARY = "brain_age.tsv"
# Those of neurogen.brain_age.growth, written out: the command line starts without numpy.
STRATA = ("all", "term", "preterm", "female", "male")


@dataclass(frozen=True, eq=False)
class Reader:
    """What every scan of a run is read with. segmenter: the model that finds the regions of scans without labels."""

    model: "Model"
    age_model: "AgeModel"
    segmenter: str
    device: str

    def regions_of(self, image: "Volume", progress: Progress) -> "tuple[Segmented, Model]":
        """The regions of a brain-extracted scan. Raises ModelUnavailable, InputRefused."""
        from neurogen.brain_age.segmentation import (
            SegmentationSettings,
            brain_support,
            load_segmenter,
            segment_regions,
        )
        from neurogen.models import ModelStore

        brain_support(image)  # what cannot be read is refused for that, whether there is a model or not
        model = ModelStore().get(self.segmenter)
        network = load_segmenter(model, self.device)
        return segment_regions(image, network, SegmentationSettings(device=self.device), progress), model


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "brain-age",
        parents=[common],
        epilog=common.epilog,
        help="read a newborn's brain age from 86 regions",
        description="Read the postmenstrual age from a Draw-EM label map (87 regions, as the dHCP's "
        "desc-drawem87_dseg) at 0.5 mm, up to 0.8 mm resampled, or from a brain-extracted T2w scan, which is segmented "
        "first (regions.nii.gz). Writes age.json, regions.tsv and report.html for "
        f"each scan, and {SUMMARY} for several. Research use only. Not a diagnosis.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="SCAN",
        help="label maps or brain-extracted T2w scans (NIfTI, NRRD, ...), or folders of them; label maps come first",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="results of one scan; of several: DIR/<name of the scan>"
    )
    parser.add_argument(
        "--age",
        metavar="WEEKS",
        help="postmenstrual age at the scan, when it is known; for several scans a table (TSV, CSV) with columns scan "
        "or participant_id and age_weeks or scan_age. A folder's ages.tsv or participants.tsv is used by itself",
    )
    parser.add_argument("--charts", choices=STRATA, default="all", help="the infants to compare regions with")
    parser.add_argument("--model", default="neonatal-age", metavar="ID", help="an age model, or the folder of one")
    parser.add_argument(
        "--segmenter", default="neonatal-regions", metavar="ID", help="the model that finds regions in a T2w scan"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Read every scan; a table of all when there are several."""
    from neurogen.brain_age.age_model import load_age_model
    from neurogen.brain_age.estimate import AgeSettings
    from neurogen.environment import choose_device
    from neurogen.models import ModelStore

    scans = find_scans(args.inputs)
    several = len(scans) > 1 or any(path.is_dir() for path in args.inputs)
    ages = ages_of(scans, args.inputs, args.age)
    jobs = [Job(scan, args.out / scan_name(scan)) for scan in scans] if len(scans) == 1 and several else None
    jobs = jobs or plan(scans, args.out)
    for job in jobs:
        check_destination(job.folder, RECORD, overwrite=args.overwrite)
    model = ModelStore().get(args.model)
    reader = Reader(model, load_age_model(model), args.segmenter, choose_device(args.device))
    done = [
        _run_one(job, k, len(jobs), reader, AgeSettings(ages[job.scan], args.charts), args, console)
        for k, job in enumerate(jobs)
    ]
    if several:
        _write_summary(args.out, [(job, one) for job, one in zip(jobs, done) if one is not None], console)
    failed = [str(job.scan) for job, one in zip(jobs, done) if one is None]
    if failed:
        names = ", ".join(failed)
        raise SomeFailed(f"{len(failed)} of {len(jobs)} scans could not be done: {names}. The reasons stand above.")
    return 0


def read_scan(job: Job, reader: Reader, settings: "AgeSettings", progress: Progress) -> "AgeEstimate":
    """One label map or scan from file to finished folder."""
    from neurogen.brain_age.estimate import estimate_age
    from neurogen.commands.age_files import write_age
    from neurogen.volumes import save_volume

    progress("reading", 0.0)
    volume, is_image = read_input(job.scan)
    segmented = segmenter = None
    if is_image:
        segmented, segmenter = reader.regions_of(volume, portion(progress, 0.05, 0.6))
    measured = segmented.measured if segmented else volume
    with result_folder(job.folder) as part:
        estimate = estimate_age(measured, reader.age_model, settings, portion(progress, 0.6, 0.7))
        if segmented:
            estimate = replace(estimate, warnings=(segmentation_note(segmenter), *estimate.warnings))
            save_volume(segmented.labels, part / REGIONS)
        progress("drawing charts", 0.7)
        write_age(part, estimate, measured, reader.model, reader.age_model, given=volume, segmenter=segmenter)
    progress("done", 1.0)
    return estimate


def segmentation_note(segmenter: "Model") -> str:
    """What a reader of an age from found regions must know, from the model's own card."""
    facts = segmenter.manifest
    shifts = [row["age_shift"] for row in facts["measured"] if "age_shift" in row]
    measured = f"moved the age by {shifts[0]:.1f} weeks on average" if shifts else "were never compared with given ones"
    learned = ", ".join(data["name"] for data in facts["training_data"])
    low, high = facts["age_range"]
    return (
        f"The regions were found by {segmenter.id} {facts['version']}: look at them ({REGIONS}). It learned from: "
        f"{learned}; {low:g} to {high:g} weeks. On scans kept apart from these, found regions {measured}. "
        "Nothing is known of other scans: give a checked segmentation where there is one."
    )


def _run_one(job, k: int, n: int, reader, settings, args, console: Console) -> "AgeEstimate | None":
    """The estimate, or None when this scan of a batch failed; the failure is told and the next one follows."""
    try:
        estimate = read_scan(job, reader, settings, portion(console.progress, k / n, (k + 1) / n))
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
    columns = ("scan", "predicted_weeks", "low_90", "high_90", "age_weeks", "gap_weeks", "corrected_gap_weeks",
               "distance_percentile", "brain_ml", "warnings")  # fmt: skip
    lines = ["\t".join(columns)]
    for job, one in done:
        numbers = (one.predicted, *one.interval_90, one.age, one.gap, one.corrected_gap, one.distance_percentile,
                   float(one.features.volume_ml.sum()))  # fmt: skip
        cells = ["" if x is None else f"{x:.3f}" for x in numbers]
        lines.append("\t".join([job.folder.name, *cells, " ".join(one.warnings)]))
    if done:
        part = out / f".{SUMMARY}.part"
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        part.replace(out / SUMMARY)
        console.say(f"{len(done)} scans: {out / SUMMARY}")
