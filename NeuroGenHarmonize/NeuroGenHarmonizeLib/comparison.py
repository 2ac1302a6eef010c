"""Input and harmonized scan in the same views: one of them, a fade between both, or a checkerboard of both."""

import numpy as np
import slicer

from NeuroGenHarmonizeLib.result import Result
from NeuroGenHarmonizeLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import layOnGridOf

SQUARE_MM = 20.0
BRIGHTEST = 99.5  # percentile of the voxels above 0 that is white, in input and result alike


def showComparison(result: Result, settings: ViewSettings) -> None:
    """Show the chosen scan of a result as the settings say; nothing when its nodes were deleted."""
    chosen = [pair for pair in result.pairs() if pair[0] == settings.scan] or result.pairs()[:1]
    if not chosen:
        return
    _row, before, after = chosen[0]
    setSameWindow(before, after)
    if settings.compare == "checkerboard":
        display.showOverlay(_board(result, before, after), None)
    elif settings.compare == "fade":
        _fade(before, after, settings.fade)
    else:
        display.showOverlay(after if settings.compare == "harmonized" else before, None)


def setSameWindow(before, after) -> None:
    """The same window in both, each in its own unit: black is 0, white a high percentile of the head.

    The input's window is only set where the harmonized scan's is: both must be comparable by eye.
    """
    for node in (before, after):
        array = slicer.util.arrayFromVolume(node)
        inside = array[array > 0]
        top = float(np.percentile(inside, BRIGHTEST)) if inside.size else 1.0
        shown = node.GetDisplayNode()
        if shown is not None:
            shown.SetAutoWindowLevel(False)
            shown.SetWindowLevel(top, top / 2)


def checkerboard(before: np.ndarray, after: np.ndarray, *, side: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I) squares of `side` voxels from one and the other, the input scaled to the percentile of the result."""
    tops = [np.percentile(array[array > 0], BRIGHTEST) if (array > 0).any() else 1.0 for array in (before, after)]
    squares = sum(axis // length for axis, length in zip(np.indices(before.shape), side))
    return np.where(squares % 2 == 0, before * (tops[1] / tops[0]), after).astype(np.float32)


def _fade(before, after, share: float) -> None:
    for node in display.compositeNodes():
        node.SetBackgroundVolumeID(before.GetID())
        node.SetForegroundVolumeID(after.GetID())
        node.SetForegroundOpacity(share)


def _board(result: Result, before, after):
    """The checkerboard volume of the shown scan, made anew for it."""
    arrays = [slicer.util.arrayFromVolume(node) for node in (before, after)]
    side = tuple(max(round(SQUARE_MM / spacing), 1) for spacing in reversed(after.GetSpacing()))
    node = result.node("checkerboard")
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", _("checkerboard"))
        result.keep("checkerboard", node)
    slicer.util.updateVolumeFromArray(node, checkerboard(*arrays, side=side))
    layOnGridOf(node, after)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    window = after.GetDisplayNode()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(window.GetWindow(), window.GetLevel())
    return node
