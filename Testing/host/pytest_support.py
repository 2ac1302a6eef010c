"""Fixtures for tests that run through the host; `conftest.py` of the tests imports them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Testing import host

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def _application() -> object:
    """The application, once a process; the tests are skipped, saying why, where it cannot start."""
    reason = host.missing()
    if reason:
        pytest.skip(reason)
    return host.install()


@pytest.fixture
def slicer_app(_application: object) -> Iterator[object]:
    """`slicer.app` with an empty scene; fails the test when a slot, timer, observer or VTK reported an error."""
    clean(_application)
    yield _application
    for name in _application.moduleManager().modulesNames():
        _application.moduleManager().unload(name)
    clean(_application, keepFailures=True)
    from Testing.host import dialogs, failures

    dialogs.take()
    found = failures.take()
    if found:
        shown = "\n".join(f"[{one.where}] {one.text}" for one in found)
        pytest.fail(f"{len(found)} errors that no caller saw:\n{shown}", pytrace=False)


@pytest.fixture
def enter_module(slicer_app: object) -> Callable:
    """A function that loads a module of the repository (a name) or of a test (a path) and opens its panel."""
    from Testing.host import scripted

    def enter(module: str | Path) -> object:
        path = Path(module) if Path(module).suffix == ".py" else REPOSITORY / module / f"{module}.py"
        scripted.load_module(path)
        return scripted.enter(path.stem)

    return enter


@pytest.fixture
def rendering(slicer_app: object) -> None:
    """Skips the test, saying why, where no picture can be drawn."""
    from Testing.host import offscreen

    if not offscreen.canRender():
        pytest.skip("VTK can draw no picture here: needs EGL (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri)")
    slicer_app.layoutManager().openViews()


def clean(application: object, keepFailures: bool = False) -> None:
    """Close the scene, let every waiting event run, and forget what came before."""
    from Testing.host import dialogs, failures

    application.mrmlScene().Clear(0)
    application.processEvents()
    dialogs.take()
    if not keepFailures:
        failures.take()
