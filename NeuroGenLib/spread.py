"""The colors of an uncertainty map, the spread between methods: green, a hue that the anomaly map does not have.

A color always means the same spread, in healthy standard deviations; scores beyond RANGE have the last color.
"""

import numpy as np
import slicer

from NeuroGenLib.heat import ENTRIES
from NeuroGenLib.i18n import tr as _

RANGE = 3.0  # healthy standard deviations at the end of the table
FAINT = 1.0  # less is clear: in most of a healthy brain methods differ by that
GREENS = ((0.00, 0.27, 0.11), (0.00, 0.53, 0.22), (0.30, 0.77, 0.33), (0.68, 0.93, 0.50), (0.94, 1.00, 0.80))
ATTRIBUTE = "NeuroGen.spread"  # of our color tables


def spreadColors(spread: np.ndarray) -> np.ndarray:
    """RGBA in [0, 1], shape (N, 4), of N spreads >= 0; transparent below FAINT. Opacity is 0 or 1, as in `heat`."""
    steps = np.linspace(FAINT, RANGE, len(GREENS))
    color = np.column_stack([np.interp(spread, steps, channel) for channel in zip(*GREENS)])
    return np.column_stack([color, np.asarray(spread) >= FAINT])


def tableSpreads() -> np.ndarray:
    """The spread that each entry of a table stands for: the middle of its bin."""
    return RANGE / ENTRIES * (np.arange(ENTRIES) + 0.5)


def applySpread(volumeNode):
    """Color an uncertainty map by a table of its own with the fixed range; return the table."""
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    table = display.GetColorNode()
    if table is None or table.GetAttribute(ATTRIBUTE) is None:
        table = _newTable(_("{name} colors").format(name=volumeNode.GetName()))
        display.SetAndObserveColorNodeID(table.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, RANGE)
    display.ApplyThresholdOff()
    return table


def _newTable(name: str):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetNumberOfColors(ENTRIES)
    node.SetAttribute(ATTRIBUTE, "own")
    for index, (spread, color) in enumerate(zip(tableSpreads(), spreadColors(tableSpreads()))):
        node.SetColor(index, f"{spread:.2f}", *map(float, color))
    return node
