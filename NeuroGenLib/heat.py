"""The colors of an anomaly map: bright deviations hot, dark ones cool, and what is healthy transparent.

A color always means the same score. The table spans -RANGE to RANGE healthy standard deviations (0 to RANGE for maps
without sign); scores beyond have the last color.
"""

import numpy as np
import slicer

from NeuroGenLib.i18n import tr as _

RANGE = 10.0  # healthy standard deviations at the end of the table
ENTRIES = 256  # the display pipeline has no more levels
FAINT = 1.0  # scores below are never colored: most of a healthy brain
# From FAINT to RANGE, evenly: no white at the ends, so that the two hues never meet.
HOT = ((0.50, 0.00, 0.00), (0.90, 0.15, 0.00), (1.00, 0.55, 0.00), (1.00, 0.85, 0.10), (1.00, 1.00, 0.55))
COOL = ((0.00, 0.00, 0.50), (0.00, 0.25, 0.90), (0.00, 0.60, 1.00), (0.20, 0.85, 1.00), (0.65, 1.00, 1.00))
ATTRIBUTE = "NeuroGen.heat"  # of our color tables: "shared", or "own" of one map


def heatColors(scores: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
    """RGBA in [0, 1], shape (N, 4), of N scores; transparent where |score| < threshold.

    Opacity is 0 or 1: the display of volumes makes every other value 1, and blends by the opacity of the layer.
    """
    size = np.abs(scores)
    steps = np.linspace(FAINT, RANGE, len(HOT))
    ramps = [np.column_stack([np.interp(size, steps, channel) for channel in zip(*hue)]) for hue in (HOT, COOL)]
    color = np.where(np.asarray(scores)[:, None] >= 0, *ramps)
    return np.column_stack([color, size >= max(threshold, FAINT)])


def heatColorTable(signed: bool = True):
    """The scene's shared table without a threshold, made when the scene has none."""
    name = _("Deviation, bright and dark") if signed else _("Deviation")
    for node in slicer.util.getNodesByClass("vtkMRMLColorTableNode"):
        if node.GetAttribute(ATTRIBUTE) == "shared" and node.GetName() == name:
            return node
    node = newHeatColorTable(name, signed=signed)
    node.SetAttribute(ATTRIBUTE, "shared")
    return node


def newHeatColorTable(name: str, *, signed: bool = True):
    """A table of one map's own, whose threshold `setHeatThreshold` moves."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetNumberOfColors(ENTRIES)
    node.SetAttribute(ATTRIBUTE, "own")
    node.SetAttribute(f"{ATTRIBUTE}.signed", str(int(signed)))
    setHeatThreshold(node, 0.0)
    return node


def setHeatThreshold(colorNode, threshold: float) -> None:
    """Make everything below `threshold` healthy standard deviations transparent in a table of ours."""
    scores = tableScores(signed=colorNode.GetAttribute(f"{ATTRIBUTE}.signed") == "1")
    wasModifying = colorNode.StartModify()
    for index, (score, color) in enumerate(zip(scores, heatColors(scores, threshold=threshold))):
        colorNode.SetColor(index, f"{score:+.2f}", *map(float, color))
    colorNode.EndModify(wasModifying)


def tableScores(*, signed: bool) -> np.ndarray:
    """The score that each entry of a table stands for: the middle of its bin."""
    low = -RANGE if signed else 0.0
    width = (RANGE - low) / ENTRIES
    return low + width * (np.arange(ENTRIES) + 0.5)


def applyHeat(volumeNode, *, threshold: float = 0.0, signed: bool = True):
    """Color a map by a table of its own with the fixed range; return the table."""
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    table = display.GetColorNode()
    if table is None or table.GetAttribute(ATTRIBUTE) != "own":
        table = newHeatColorTable(_("{name} colors").format(name=volumeNode.GetName()), signed=signed)
        display.SetAndObserveColorNodeID(table.GetID())
    setHeatThreshold(table, threshold)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(-RANGE if signed else 0.0, RANGE)
    display.ApplyThresholdOff()
    return table
