"""A host that runs Slicer modules in tests: genuine MRML and `slicer.util`, PySide6 in the manners of PythonQt.

    from Testing import host
    host.install()                                   # before anything imports qt, ctk or slicer
    from Testing.host import scripted
    scripted.load_module("NeuroGenAD/NeuroGenAD.py")
    widget = scripted.enter("NeuroGenAD")

What it cannot show is in Testing/README.md.
"""

import importlib.util
import os
from pathlib import Path

_installed: list[object] = []


def missing() -> str:
    """Why the host cannot run here, in words; empty when it can."""
    for name, package in (("slicer", "slicer-core"), ("PySide6", "PySide6_Essentials"), ("vtk", "vtk")):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return f"needs {package}: pip install -c constraints.txt -e '.[test]'"
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        return f"Qt does not start here ({error}); Debian: apt-get install libegl1 libgl1 libxkbcommon0 libdbus-1-3"
    return ""


def install() -> object:
    """Make `qt`, `ctk` and a running `slicer` importable, once a process; the application."""
    if not _installed:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        _installed.append(_install())
    return _installed[0]


def _install() -> object:
    import sys
    import types

    import slicer
    import slicer.util

    from . import dialogs, extras, failures, messages, pythonqt

    failures.watch()
    pythonqt.patch()
    dialogs.patch()
    messages.watch()
    from .app import startApplication
    from .standins import standIns
    from .uiloader import makeUiLoader

    widgets = standIns()
    qt, ctk = pythonqt.qtNamespace(), types.ModuleType("ctk", "ctk stand-ins of the test host")
    qt.QUiLoader = makeUiLoader(widgets)
    sys.modules |= {"qt": qt, "ctk": ctk}
    for name, widget in widgets.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, widget)
    extras.install()
    application = startApplication()
    failures.take()  # slicer-core comes without the terminology files and says so at the start
    return application


def grab(widget: object, path: str | Path, size: tuple[int, int] | None = None) -> None:
    """Save a picture of a widget as PNG; `size` in pixels (width, height)."""
    if size is not None:
        widget.resize(*size)
    widget.show()
    install().processEvents()
    if not widget.grab().save(str(path)):
        raise OSError(f"The picture {path} could not be written.")
