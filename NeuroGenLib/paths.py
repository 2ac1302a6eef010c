"""Where the packages lie, which Python runs a job, and the environment it runs in.

In the source tree `neurogen/` and `NeuroGenLib/` lie beside the module folders; installed, beside the module files.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

# Slicer's launcher sets these for Slicer's own Python; in another Python they point to the wrong standard library.
_OF_ANOTHER_PYTHON = ("PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
_OF_ITS_USER = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONDEBUG", "PYTHONWARNINGS")


def packageFolder() -> Path:
    """The folder that holds `neurogen/` and `NeuroGenLib/`."""
    return Path(__file__).resolve().parents[1]


def addSourceTree() -> Path:
    """Make `neurogen` importable in this process; return the folder that holds it."""
    folder = packageFolder()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


def pythonExecutable() -> str:
    """The interpreter of child processes: PythonSlicer inside Slicer, this interpreter outside it."""
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    home = _slicerHome()
    candidates = [Path(home) / "bin" / name] if home else []
    candidates += [Path(sys.executable).with_name(name)] if sys.executable else []
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    return shutil.which("PythonSlicer") or sys.executable


def childEnvironment(executable: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a job: ours, with `neurogen` on its path, UTF-8 streams and threads that sleep when waiting.

    `extra` wins over all of it.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ITS_USER}
    if not Path(executable).stem.startswith("PythonSlicer"):
        for name in _OF_ANOTHER_PYTHON:
            environment.pop(name, None)
    path = [str(packageFolder()), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    environment.update(
        PYTHONUNBUFFERED="1",
        PYTHONUTF8="1",
        PYTHONIOENCODING="utf-8",
        PYTHONSAFEPATH="1",  # a file random.py in the user's folder must not replace the library's
    )
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment | dict(extra or {})


def _slicerHome() -> str:
    application = getattr(sys.modules.get("slicer"), "app", None)
    return getattr(application, "slicerHome", "") or ""
