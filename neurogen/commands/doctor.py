"""`neurogen doctor`: what a bug report needs, and whether this installation can work."""

import argparse
import os
import tempfile
from pathlib import Path

from neurogen.commands.models import problem
from neurogen.console import Console
from neurogen.environment import cuda_problem, versions
from neurogen.errors import ModelUnavailable
from neurogen.models import ModelStore


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "doctor", parents=[common], epilog=common.epilog, help="show versions, device, models and folders"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the diagnosis of this installation; ModelUnavailable when a library or model is missing or damaged."""
    store = ModelStore()
    found = versions()
    models = {name: problem(store, name) or "ok" for name in store.ids()}
    folders = {str(folder): _access(folder) for folder in (store.user, Path(tempfile.gettempdir()), Path.cwd())}
    sections = {
        "Versions": found,
        "Computing": _computing(found),
        f"Models ({store.shipped}, {store.user})": models or {"none": "no model is installed"},
        "Folders": folders,
    }
    _print(sections, console)
    console.event(versions=found, computing=sections["Computing"], models=models, folders=folders)
    absent = [library for library, version in found.items() if version == "absent"]
    damaged = [name for name, state in models.items() if state != "ok"]
    if absent or damaged or not models:
        raise ModelUnavailable(_advice(absent, damaged))
    console.say("\nAll is well.")
    return 0


def _computing(found: dict[str, str]) -> dict[str, str]:
    if found["torch"] == "absent":
        return {"device": "torch is absent", "processors": str(os.cpu_count())}
    import torch

    reason = cuda_problem()
    device = f"cpu ({reason})" if reason else f"cuda ({torch.cuda.get_device_name()})"
    return {
        "device": device,
        "processors": str(os.cpu_count()),
        "threads of torch": str(torch.get_num_threads()),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set"),
    }


def _access(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return "writable" if os.access(folder, os.W_OK | os.X_OK) else "READ-ONLY"


def _advice(absent: list[str], damaged: list[str]) -> str:
    if absent:
        return f"Libraries are missing: {', '.join(absent)}. Install NeuroGen again."
    if damaged:
        return f"Models are damaged: {', '.join(damaged)}. Install NeuroGen or these models again."
    return "No model is here. Install NeuroGen again, or add a model by `neurogen models install FILE`."


def _print(sections: dict[str, dict[str, str]], console: Console) -> None:
    for title, entries in sections.items():
        console.say(title)
        width = max(map(len, entries))
        for key, value in entries.items():
            console.say(f"  {key.ljust(width)}  {value}")
