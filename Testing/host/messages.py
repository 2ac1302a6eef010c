"""What Qt and VTK print: harmless lines are dropped, VTK errors become failures, the rest is shown as ever."""

import sys

import vtk
from PySide6.QtCore import qInstallMessageHandler

from . import failures

HARMLESS = ("This plugin does not support", "propagateSizeHints")


def watch() -> None:
    """Look at every message from now on."""
    qInstallMessageHandler(_qtMessage)
    window = vtk.vtkStringOutputWindow()
    window.AddObserver("ErrorEvent", _vtkError)
    window.AddObserver("WarningEvent", _vtkWarning)
    vtk.vtkOutputWindow.SetInstance(window)
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)  # it would print the same lines again


def _qtMessage(kind: object, context: object, text: str) -> None:
    if not any(part in text for part in HARMLESS):
        print(f"Qt: {text}", file=sys.stderr)


@vtk.calldata_type(vtk.VTK_STRING)
def _vtkError(caller: object, event: str, text: str) -> None:
    failures.note("VTK", None, text)


@vtk.calldata_type(vtk.VTK_STRING)
def _vtkWarning(caller: object, event: str, text: str) -> None:
    print(f"VTK: {text}", file=sys.stderr)
