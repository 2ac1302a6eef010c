"""Tests of the Slicer modules, run through the host of `Testing/host`."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

from Testing.host.pytest_support import _application, enter_module, rendering, slicer_app  # noqa: E402

__all__ = ["_application", "enter_module", "rendering", "slicer_app"]
