"""`neurogen train`: a model of one's own from one's own scans."""

import argparse
import importlib
import json
import typing
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from neurogen.console import Console
from neurogen.errors import UsageError

RECIPES = {
    "autoencoder": "neurogen.training.recipe_autoencoder",
    "reflect": "neurogen.training.recipe_reflect",
    "mad-ad": "neurogen.training.recipe_mad_ad",
    "deco-diff": "neurogen.training.recipe_deco_diff",
    "simclr": "neurogen.training.recipe_simclr",
    "gaussian": "neurogen.training.recipe_gaussian",
    "brain-mask": "neurogen.training.recipe_brain_mask",
    "flow": "neurogen.training.recipe_flow",
    "harmonizer": "neurogen.training.recipe_harmonizer",
    "regions": "neurogen.training.recipe_regions",
}
# Options of this command that are settings of the same name; their defaults live in the settings.
OPTIONS = ("steps", "minutes", "batch_size", "learning_rate", "seed", "threads")


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "train",
        parents=[common],
        epilog=common.epilog,
        help="train a model on your own scans",
        description="Training ends at --steps or --minutes, or when it no longer gets better. Ctrl-C or SIGTERM saves; "
        "--resume goes on to the same result. The model folder in OUT can be installed by `neurogen models install`.",
    )
    parser.add_argument("recipe", choices=sorted(RECIPES), metavar="RECIPE", help=", ".join(sorted(RECIPES)))
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the training scans")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="checkpoint, curve and model folder")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    parser.add_argument("--steps", type=int, metavar="N", help="batches to train on")
    parser.add_argument("--minutes", type=float, metavar="M", help="time to train for")
    parser.add_argument("--batch-size", type=int, metavar="N")
    parser.add_argument("--learning-rate", type=float, metavar="R")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="any setting of the recipe; NAME.PART=VALUE for one within another",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Train until the budget or the plateau, then say what came out."""
    if not args.data.is_dir():
        raise UsageError(f"--data {args.data} is not a folder. Give the folder with the training scans.")
    train = importlib.import_module(RECIPES[args.recipe]).run
    settings = build_settings(typing.get_type_hints(train)["settings"], _changes(args))
    result = train(args.data, args.out, settings, resume=args.resume, progress=console.progress)
    console.event(
        result=str(args.out), steps=result.steps, minutes=result.minutes, best_step=result.best_step,
        best_score=result.best_score, stopped=result.stopped,
    )  # fmt: skip
    console.say(
        f"Trained {result.steps} steps in {result.minutes:.1f} minutes; ended by {result.stopped}. Best validation "
        f"score {result.best_score:.4g} at step {result.best_step}. Model, checkpoint and curve.tsv: {args.out}"
    )
    return 0


def build_settings(hint: Any, changes: dict[str, Any]) -> Any:
    """The recipe's settings (a dataclass with the loop's settings in `loop`) with some values changed.

    Raises UsageError for a name that neither has, and for a value of another type.
    """
    kind = next(choice for choice in (*typing.get_args(hint), hint) if choice is not type(None))
    settings = kind()
    own, loop = _names(settings), _names(settings.loop)
    unknown = sorted(name for name in changes if name.partition(".")[0] not in own | loop)
    if unknown:
        raise UsageError(f"Unknown settings {', '.join(unknown)}. This recipe has: {', '.join(sorted(own | loop))}.")
    of_loop = {name: value for name, value in changes.items() if name in loop}
    of_recipe = {name: value for name, value in changes.items() if name not in loop}
    return _changed(replace(settings, loop=_changed(settings.loop, of_loop)), of_recipe)


def _changed(settings: Any, changes: dict[str, Any]) -> Any:
    """A dataclass with some values changed; NAME.PART is a setting of the settings in NAME."""
    values, inner = {}, {}
    for name, value in changes.items():
        first, dot, rest = name.partition(".")
        if not dot:
            values[name] = _as_type_of(settings, name, value)
        elif is_dataclass(getattr(settings, first)) and rest.partition(".")[0] in _names(getattr(settings, first)):
            inner.setdefault(first, {})[rest] = value
        else:
            raise UsageError(f"There is no setting {name}. Settings of {first}: {_listed(getattr(settings, first))}.")
    try:
        return replace(settings, **values, **{k: _changed(getattr(settings, k), v) for k, v in inner.items()})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _listed(settings: Any) -> str:
    return ", ".join(sorted(_names(settings))) if is_dataclass(settings) else "none"


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    changes = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    if args.minutes is not None and args.steps is None:
        changes["steps"] = None  # the time alone ends the training
    changes["device"] = args.device
    for change in args.changes:
        name, separator, text = change.partition("=")
        if not separator:
            raise UsageError(f"--set {change} is not NAME=VALUE.")
        changes[name.strip().replace("-", "_")] = _value(text)
    return changes


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _names(settings: Any) -> set[str]:
    return {field.name for field in fields(settings)} - {"loop"}


def _as_type_of(settings: Any, name: str, value: Any) -> Any:
    """`value` in the type of the default; an optional setting (default None) takes anything."""
    default = getattr(settings, name)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if default is not None and value is not None and type(value) is not type(default):
        raise UsageError(f"The setting {name} is a {type(default).__name__} ({default!r}), but {value!r} was given.")
    return value
