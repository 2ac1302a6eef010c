"""Every module opens at once, from its folder in the source tree: no torch, network, main window, and no warning."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = [name for name in ("NeuroGenAD", "NeonatalBrainAge", "NeuroGenHarmonize") if (REPOSITORY / name).is_dir()]
SECONDS = 1.0  # of computing: what other programs take on a busy machine does not count
HEAVY = ("torch", "monai", "SimpleITK", "nibabel", "matplotlib", "sklearn", "nilearn", "pandas", "highdicom")
OPEN = """
import importlib.util, json, logging, socket, sys, time, warnings
from pathlib import Path

name, heavy = sys.argv[1], sys.argv[2].split(",")
from Testing import host

application = host.install()
from Testing.host import dialogs, failures, scripted


class Absent:
    def find_spec(self, module, path=None, target=None):
        if module.split(".")[0] in ("torch", "monai"):
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


class Warned(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            told.append(record.getMessage())


def refuse(*arguments, **options):
    raise OSError("there is no network")


def fromElsewhere():
    # A user's Python knows the module's own folder and nothing else of the source tree.
    tree = Path.cwd()
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != tree]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
    assert not any(importlib.util.find_spec(package) for package in ("neurogen", "NeuroGenLib"))


fromElsewhere()
told = []
before = set(sys.modules)
sys.meta_path.insert(0, Absent())
socket.socket.connect = refuse
logging.getLogger().addHandler(Warned())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    started = time.process_time()
    scripted.load_module(Path(name, f"{name}.py").resolve())
    panel = application.moduleManager().module(name).widgetRepresentation().self()
    seconds = time.process_time() - started
    application.processEvents()
told += [str(each.message) for each in caught]
parent = application.moduleManager().module(name)
print(json.dumps({
    "seconds": seconds,
    "heavy": sorted(set(heavy) & {module.split(".")[0] for module in set(sys.modules) - before}),
    "told": told,
    "failures": [failure.text for failure in failures.take()],
    "dialogs": [shown.text for shown in dialogs.take()],
    "texts": {name: bool(getattr(parent, name)) for name in ("title", "categories", "contributors", "helpText",
                                                             "acknowledgementText")},
}))
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_opens_at_once(slicer_app, module):
    command = [sys.executable, "-c", OPEN, module, ",".join(HEAVY)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["heavy"] == [], "these packages are imported before they are needed"
    assert told["told"] == told["failures"] == told["dialogs"] == []
    assert all(told["texts"].values()), told["texts"]
    assert told["seconds"] <= SECONDS
