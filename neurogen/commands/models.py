"""`neurogen models`: list, install from a file, verify, remove."""

import argparse
import logging
from pathlib import Path

from neurogen.console import Console
from neurogen.errors import ModelUnavailable
from neurogen.models import Model, ModelStore


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("models", help="list, install, verify or remove models", epilog=common.epilog)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="what is there, and what it is for")
    listing.set_defaults(run=run_list)
    install = actions.add_parser("install", parents=[common], help="add a model from a .zip file or a folder")
    install.add_argument("file", type=Path, metavar="FILE")
    install.set_defaults(run=run_install)
    verify = actions.add_parser("verify", parents=[common], help="compare every file with its SHA-256")
    verify.add_argument("ids", nargs="*", metavar="ID", help="default: all")
    verify.set_defaults(run=run_verify)
    remove = actions.add_parser("remove", parents=[common], help="delete an installed model")
    remove.add_argument("id", metavar="ID")
    remove.set_defaults(run=run_remove)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """One line a model; a damaged one is listed as such."""
    store = ModelStore()
    rows = [_row(store, name) for name in store.ids()]
    for row in rows:
        console.event(**row)
    console.say(_aligned(rows) if rows else "No models are here. `neurogen models install FILE` adds one.")
    console.say(f"\nShipped: {store.shipped}\nInstalled: {store.user}")
    return 0


def run_install(args: argparse.Namespace, console: Console) -> int:
    model = ModelStore().install(args.file)
    console.event(installed=model.id, path=str(model.path))
    console.say(f"Installed {model.id} {model.manifest['version']} in {model.path}.")
    return 0


def run_verify(args: argparse.Namespace, console: Console) -> int:
    """Check each model; ModelUnavailable when one is damaged."""
    store = ModelStore()
    damaged = {name: reason for name in args.ids or store.ids() if (reason := problem(store, name))}
    for name in args.ids or store.ids():
        console.event(model=name, ok=name not in damaged)
        console.say(f"{name}: {'damaged' if name in damaged else 'ok'}")
    for reason in damaged.values():
        logging.error("%s", reason)
    if damaged:
        raise ModelUnavailable(f"Not usable: {', '.join(damaged)}.")
    return 0


def run_remove(args: argparse.Namespace, console: Console) -> int:
    ModelStore().remove(args.id)
    console.event(removed=args.id)
    console.say(f"Removed {args.id}.")
    return 0


def problem(store: ModelStore, name: str) -> str:
    """Why the model cannot be used; empty when it can."""
    try:
        store.get(name).verify()
    except ModelUnavailable as error:
        return str(error)
    return ""


def _row(store: ModelStore, name: str) -> dict[str, str]:
    try:
        return _facts(store.get(name))
    except ModelUnavailable as error:
        logging.warning("%s", error)
        return {"id": name, "version": "damaged", "task": "", "method": "", "for": "", "from": ""}


def _facts(model: Model) -> dict[str, str]:
    manifest = model.manifest
    low, high = manifest["age_range"]
    return {
        "id": model.id,
        "version": manifest["version"],
        "task": manifest["task"],
        "method": manifest["method"],
        "for": f"{', '.join(manifest['contrasts'])}, {low:g}-{high:g} {manifest.get('age_unit', 'years')}",
        "from": "shipped" if model.shipped else "installed",
    }


def _aligned(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
