"""`neurogen benchmark`: the measured tables, made anew on this machine."""

import argparse
import importlib
from pathlib import Path

from neurogen.console import Console
from neurogen.environment import choose_device
from neurogen.errors import InputRefused

BENCHMARKS = {
    "flair-stroke": ("neurogen.evaluation.flair_stroke", "SLICES.npz", "acute stroke on one FLAIR slice a patient"),
    "planted": ("neurogen.evaluation.planted", "DIR", "lesions planted in kept-apart T1w scans"),
    "age": ("neurogen.evaluation.age", "TABLE.csv", "brain age of newborns on a feature table"),
    "harmonize": ("neurogen.evaluation.harmonize", "DIR", "segmentation on other scanners, before and after"),
    "regions": ("neurogen.evaluation.regions", "DIR", "regions found in newborns' T2w scans, against label maps"),
    "choices": ("neurogen.evaluation.choices", "MODEL", "what was tried when a model was made, from its manifest"),
    "speed": ("neurogen.evaluation.speed", "SCAN", "seconds and memory of `neurogen detect`"),
}


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("benchmark", help="measure and print a table", epilog=common.epilog)
    names = parser.add_subparsers(dest="benchmark", required=True, metavar="NAME")
    for name, (_, data, description) in BENCHMARKS.items():
        one = names.add_parser(name, parents=[common], help=description, description=description)
        one.add_argument("data", type=Path, metavar=data)
        one.add_argument("--methods", nargs="+", metavar="METHOD", help="rows of the table (default: all present)")
        one.add_argument("--json", type=Path, metavar="FILE", dest="json_path", help="also write the table as JSON")
        one.add_argument("--seed", type=int, default=0)
        if name == "harmonize":
            one.add_argument(
                "--model", default="harmonize-t1-adult", metavar="ID", help="a model of the reference site"
            )
        if name in ("planted", "harmonize"):
            one.add_argument("--cache", type=Path, metavar="DIR", help="where prepared scans are kept, or already lie")
        if name in ("planted", "flair-stroke"):
            one.add_argument(
                "--scores", type=Path, metavar="DIR", help="keep the models' scores there for the next run"
            )
        if name == "flair-stroke":
            one.add_argument("--share", type=float, default=1.0, help="of the slices with lesions, drawn (default: 1)")
        if name == "age":
            choices = "shipped (default), cross-validation, regressors, low-data or importance"
            one.add_argument("--compare", default="shipped", metavar="WHAT", help=choices)
            one.add_argument("--train", nargs="+", type=Path, default=(), metavar="CSV", help="tables to fit on")
        one.set_defaults(run=run)
    text = "one page of markdown from the JSON files of benchmarks"
    one = names.add_parser("page", parents=[common], help=text, description=text)
    one.add_argument("data", type=Path, metavar="RESULTS", help="folder of what --json wrote")
    one.add_argument("--out", type=Path, required=True, metavar="FILE.md")
    one.set_defaults(run=run_page)


def run_page(args: argparse.Namespace, console: Console) -> int:
    """Write the page of a folder of results."""
    from neurogen.evaluation.page import page

    text = page(args.data)
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputRefused(
            f"The page cannot be written to {args.out} ({error.strerror}). Choose another --out."
        ) from None
    console.say(f"Written: {args.out}")
    return 0


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the table of one benchmark."""
    measure = importlib.import_module(BENCHMARKS[args.benchmark][0]).run
    table = measure(
        args.data,
        methods=args.methods,
        json_path=args.json_path,
        seed=args.seed,
        device=choose_device(args.device),
        progress=console.progress,
        **{
            name: getattr(args, name)
            for name in ("cache", "compare", "train", "model", "scores", "share")
            if hasattr(args, name)
        },
    )
    console.event(rows=dict(table.rows))
    console.say(table.text())
    return 0
