"""A text to paste into a bug report: versions, device, models, folders, the last log; not the user's name."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import neurogen
from neurogen.environment import versions
from NeuroGenLib.devices import Doctor
from NeuroGenLib.models_logic import modelRows
from NeuroGenLib.packages import missingPackages
from NeuroGenLib.paths import packageFolder, pythonExecutable

_SLICER_FACTS = ("applicationVersion", "repositoryRevision", "platform", "os", "arch", "slicerHome")
_ALSO = ("vtk", "pydicom", "highdicom", "slicer-core", "pip")


def diagnosticsText(doctor: Doctor | None = None, log: Sequence[str] = ()) -> str:
    """The text, without importing torch; with the answer of `devices.askDoctor` it also tells the device."""
    sections = {
        f"NeuroGen {neurogen.__version__}": _application(),
        "Versions": {**versions(), **_more()},
        "Missing packages": dict.fromkeys(missingPackages() or ["none"], ""),
        "Models": {row.id: row.problem or f"{row.version}, {row.origin}" for row in modelRows()},
        "Computing": _computing(doctor),
        "Machine": _machine(),
        "Log": dict.fromkeys(log, ""),
    }
    lines = [line for title, entries in sections.items() if entries for line in _section(title, entries)]
    return _withoutHome("\n".join(lines).strip() + "\n")


def _application() -> dict[str, str]:
    application = getattr(sys.modules.get("slicer"), "app", None)
    facts = {name: str(getattr(application, name)) for name in _SLICER_FACTS if hasattr(application, name)}
    return {**facts, "package folder": str(packageFolder()), "interpreter of jobs": pythonExecutable()}


def _more() -> dict[str, str]:
    from importlib import metadata

    installed = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    return {name: installed[name] for name in _ALSO if name in installed}


def _computing(doctor: Doctor | None) -> Mapping[str, str]:
    if doctor is None:
        return {"device": "not asked"}
    return doctor.computing or {"doctor": f"{doctor.outcome.kind}: {doctor.outcome.message}"}


def _machine() -> dict[str, str]:
    temporary = tempfile.gettempdir()
    return {
        "processor": f"{platform.machine()}, {os.cpu_count()} threads",
        "memory": _memory(),
        "temporary folder": f"{temporary}, {shutil.disk_usage(temporary).free / 2**30:.1f} GiB free",
    }


def _memory() -> str:
    if not hasattr(os, "sysconf"):  # Windows
        return "unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"


def _section(title: str, entries: Mapping[str, str]) -> list[str]:
    width = max(len(key) for key in entries) if any(entries.values()) else 0
    return ["", title, *(f"  {key.ljust(width)}  {value}".rstrip() for key, value in entries.items())]


def _withoutHome(text: str) -> str:
    """The user's name is often part of the home folder."""
    return text.replace(str(Path.home()), "~")
