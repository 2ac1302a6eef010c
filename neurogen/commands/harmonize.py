"""`neurogen harmonize`: scans of one site in; the same scans as the reference site would have taken them out."""

import argparse
import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from neurogen.commands.detect import scan_name
from neurogen.console import Console
from neurogen.errors import InputRefused, SomeFailed, UsageError
from neurogen.harmonize.settings import ADAPTS, PLANES, STOPS, HarmonizationSettings
from neurogen.outputs import check_destination, result_folder
from neurogen.progress import portion

if TYPE_CHECKING:
    from torch import Tensor

    from neurogen.harmonize.adapt import Segmenter
    from neurogen.harmonize.harmonization import SiteResult

RECORD = "harmonize.json"
# Those of HarmonizationSettings that an option of the same name sets; their defaults live there.
OPTIONS = ("model", "adapt", "stop", "plane", "most_steps", "slices", "seed")


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "harmonize",
        parents=[common],
        epilog=common.epilog,
        help="make scans look as if the reference site had taken them",
        description="Scans given together are taken for scans of one site: one adaptation serves all. Writes "
        "<scan>_harmonized.nii.gz on each scan's own grid (brain only), harmonization.tsv, report.html and "
        "adaptation.safetensors, which --adapted applies to later scans of the site. A scan that becomes no more like "
        "the reference, or whose anatomy changes, is given back unchanged. Research use only. Not a diagnosis.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="SCAN", help="NIfTI, NRRD, MetaImage or DICOM folders")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="one folder for all scans of the site")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument("--masks", nargs="+", type=Path, metavar="M", help="a brain mask for each scan, in their order")
    parser.add_argument("--registered", action="store_true", help="the scans already lie in ICBM152 space")
    parser.add_argument("--no-bias-correction", action="store_true", help="the scans are free of a bias field")
    parser.add_argument("--curve", action="store_true", help="adapt the intensity curve as well as the shading")
    parser.add_argument("--no-shading", action="store_true", help="no smooth shading is taken off; adapt the curve")
    parser.add_argument(
        "--together", action="store_true", help="one curve for all scans: what differs between them stays different"
    )
    parser.add_argument(
        "--own-curve", action="store_true", help="add the network's curve of each scan to its landmarks (curve models)"
    )
    parser.add_argument("--model", metavar="ID", help="a model of the reference site, or the folder of one")
    parser.add_argument("--adapt", choices=ADAPTS, help="to all scans together, to each by itself, or not at all")
    parser.add_argument("--adapted", type=Path, metavar="FILE", help="adaptation.safetensors of an earlier run")
    parser.add_argument("--stop", choices=STOPS, help="when adaptation ends")
    parser.add_argument(
        "--segmenter", type=Path, metavar="FILE",
        help="TorchScript network for --stop entropy: slices (B, 1, H, W) of 2 mm in [0, 1] -> logits (B, C, H, W)",
    )  # fmt: skip
    parser.add_argument("--plane", choices=PLANES, help="in which the harmonizer looks at a scan")
    parser.add_argument("--most-steps", type=int, metavar="N", help="cap of the adaptation")
    parser.add_argument("--slices", type=int, metavar="N", help="slices of the site that adaptation looks at")
    parser.add_argument("--seed", type=int)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Harmonize all scans into one folder."""
    names = scan_names(args.inputs)
    if args.masks and len(args.masks) != len(args.inputs):
        raise UsageError(f"{len(args.masks)} masks were given for {len(args.inputs)} scans. Give one for each.")
    check_destination(args.out, RECORD, overwrite=args.overwrite)
    settings = settings_of(args)
    with result_folder(args.out) as part:
        result, refused = _harmonize(args, names, settings, part, console)
    console.progress("done", 1.0)
    _tell(result, names, args.out, console)
    failed = [n for n, scan in zip(names, result.scans, strict=True) if scan is None or scan.problem]
    if failed:
        raise SomeFailed(
            f"{len(failed)} of {len(names)} scans were not harmonized: {', '.join(failed)}. {args.out} holds the rest, "
            "and harmonization.tsv the reasons."
        )
    return 0


def scan_names(inputs: list[Path]) -> list[str]:
    """One name a scan, for its files. Raises UsageError where two are the same."""
    names = [scan_name(path) for path in inputs]
    if max(Counter(names).values()) > 1:
        names = [f"{path.resolve().parent.name}_{scan_name(path)}" for path in inputs]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UsageError(f"Several scans would be called {repeated[0]}. Give each scan once, or rename them.")
    return names


def settings_of(args: argparse.Namespace) -> HarmonizationSettings:
    """The settings that the options ask for, on the device that is there."""
    from neurogen.environment import choose_device

    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    return HarmonizationSettings(
        **given,
        shading=not args.no_shading,
        curve=args.curve or args.no_shading,
        together=args.together,
        own_curve=args.own_curve,
        registered=args.registered,
        bias_correction=not args.no_bias_correction,
        device=choose_device(args.device),
    )


def _harmonize(
    args: argparse.Namespace, names: list[str], settings: HarmonizationSettings, part: Path, console: Console
) -> "tuple[SiteResult, dict[str, str]]":
    from neurogen.commands.harmonize_files import write_site
    from neurogen.harmonize.harmonization import harmonize_site
    from neurogen.models import ModelStore
    from neurogen.volumes import load_volume

    model = ModelStore().get(settings.model)
    model.verify()
    console.progress("reading", 0.0)
    volumes = [load_volume(path) for path in args.inputs]
    masks = [load_volume(path, as_labels=True) for path in args.masks] if args.masks else None
    refused: dict[str, str] = {}

    def on_refused(k: int, error: InputRefused) -> None:
        if len(volumes) == 1:
            raise error
        refused[names[k]] = str(error)
        logging.error("%s: %s", args.inputs[k], error)

    result = harmonize_site(
        volumes, settings, portion(console.progress, 0.02, 0.92), masks=masks, on_refused=on_refused,
        adapted=_load_adapted(args.adapted), segmenter=_load_segmenter(args.segmenter),
    )  # fmt: skip
    if len(refused) == len(volumes):
        raise InputRefused("None of the scans can be harmonized; the reasons stand above.")
    write_site(part, result, volumes, names, settings, model, refused, progress=portion(console.progress, 0.92, 1.0))
    return result, refused


def _load_adapted(path: Path | None) -> "dict[str, Tensor] | None":
    if path is None:
        return None
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{path} is no adaptation that can be read ({error}). Give an adaptation.safetensors."
        ) from error


def _load_segmenter(path: Path | None) -> "Segmenter | None":
    if path is None:
        return None
    import torch

    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{path} is no TorchScript network ({error}). Save one by torch.jit.save.") from error


def _tell(result: "SiteResult", names: list[str], out: Path, console: Console) -> None:
    for name, scan in zip(names, result.scans, strict=True):
        if scan is None:
            continue
        for warning in scan.warnings:
            console.close()
            logging.warning("%s: %s", name, warning)
        if scan.problem:
            console.close()
            logging.error("%s was given back unchanged: %s.", name, scan.problem)
        console.event(
            scan=name, bits_before=round(scan.bits_before, 4), bits_after=round(scan.bits_after, 4),
            steps=scan.steps, stop_reason=scan.stop_reason,
        )  # fmt: skip
        console.say(
            f"{name}: {scan.stop_reason}; {scan.bits_before:.3f} -> {scan.bits_after:.3f} bits per brain pixel "
            f"(reference {scan.bits_source:.3f})."
        )
    console.event(result=str(out), scans=len(names))
    console.say(f"{out}: see report.html there.")
