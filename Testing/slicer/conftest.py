"""Tests of the Slicer modules, run through the host of `Testing/host`."""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

from Testing.host.pytest_support import _application, enter_module, rendering, slicer_app  # noqa: E402

__all__ = ["_application", "enter_module", "rendering", "slicer_app"]


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """A temporary folder of the test's own, so that what jobs leave there is seen, and nothing that others leave."""
    import tempfile

    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def scan(slicer_app, tmp_path):
    """A head with a bright and a dark ball, in the scene."""
    import slicer
    from detecting import writeScan

    return slicer.util.loadVolume(str(writeScan(tmp_path)))


@pytest.fixture
def fake_child(slicer_app):
    """The stand-in of the child process."""
    from detecting import FakeChild

    fake = FakeChild(Path(slicer_app.slicerHome))
    yield fake
    fake.remove()
