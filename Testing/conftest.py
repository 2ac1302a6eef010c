"""Fixtures for all tests; builders of synthetic scans are in `builders.py` beside this file."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans that are never part of this repository; the test is skipped where it is absent."""
    folder = Path(os.environ.get("NEUROGEN_SHARED") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "adult_t1_1mm").is_dir():
        pytest.skip(f"needs real scans, and there are none at {folder} (set NEUROGEN_SHARED to their folder)")
    return folder
