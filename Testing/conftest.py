"""Fixtures for all tests; builders of synthetic scans are in `builders.py` beside this file."""

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent


class HelpersBesideThisFile(MetaPathFinder):
    """Finds `builders` and its like without this folder on the path.

    On the path it would break `import slicer`: slicer-core takes every folder `slicer` on it for a plugin of its own
    and imports all files in it, so it would import the tests in `Testing/slicer`.
    """

    def find_spec(self, name, path, target=None):
        file = HERE / f"{name}.py"
        return importlib.util.spec_from_file_location(name, file) if path is None and file.is_file() else None


sys.meta_path.append(HelpersBesideThisFile())
sys.path[:] = [entry for entry in sys.path if Path(entry).absolute() != HERE]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans that are never part of this repository; the test is skipped where it is absent."""
    folder = Path(os.environ.get("NEUROGEN_SHARED") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "adult_t1_1mm").is_dir():
        pytest.skip(f"needs real scans, and there are none at {folder} (set NEUROGEN_SHARED to their folder)")
    return folder
