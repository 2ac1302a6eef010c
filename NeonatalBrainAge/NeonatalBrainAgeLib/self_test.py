"""A result without a network, for the self test of the module and the tests of its parts."""

import json

import numpy as np
import slicer

from NeonatalBrainAgeLib.result import NAMES, TABLE, Result, middles
from neurogen.brain_age.regions import REGIONS
from NeuroGenLib.nodes import addToFolder, newSegmentation, resultFolder, setSegments
from NeuroGenLib.scene_result import ROLE
from NeuroGenLib.tables import tableNode
from NeuroGenLib.terminology import BRAIN_TISSUE

SIDE = 4  # voxels of a region's cube


def smallResult() -> Result:
    """A row of small cubes, one a region, with made-up numbers: z rises from -3 to 3 with the label."""
    labels = cubes()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "small labels")
    slicer.util.updateVolumeFromArray(node, labels)
    folder = resultFolder(node, "small brain age")
    table = tableNode("small regions", _columns() | middles(labels))
    for each in (node, table):
        addToFolder(folder, each)
    table.SetAttribute(ROLE, TABLE)
    result = Result(table)
    result.keep("labels", node)
    result.refer("input", node)
    segmentation = newSegmentation("small segments", node)
    setSegments(segmentation, labels, NAMES, node, terminology=BRAIN_TISSUE)
    result.keep("regions", segmentation)
    record = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "small record")
    record.SetText(json.dumps(_record()))
    result.keep("record", record)
    return result


def cubes() -> np.ndarray:
    """(K, J, I) int16: a 10 x 9 board of cubes with the labels of all regions."""
    labels = np.zeros((SIDE, 9 * SIDE, 10 * SIDE), np.int16)
    for number, region in enumerate(REGIONS):
        row, column = divmod(number, 10)
        labels[1:-1, row * SIDE + 1 : (row + 1) * SIDE - 1, column * SIDE + 1 : (column + 1) * SIDE - 1] = region.label
    return labels


def _columns() -> dict[str, list]:
    count = len(REGIONS)
    rising = np.linspace(-3, 3, count).tolist()
    return {
        "label": [region.label for region in REGIONS],
        "name": [region.name for region in REGIONS],
        "volume_ml": [1.0 + k for k in range(count)],
        "rv": [1 / count] * count,
        "rv_z": rising,
        "rv_centile": [50.0] * count,
        "svr": [0.6] * count,
        "svr_z": rising[::-1],
        "svr_centile": [50.0] * count,
        "importance": np.linspace(0, 1, count).tolist(),
    }


def _record() -> dict:
    return {
        "predicted_weeks": 39.5,
        "interval_90_weeks": [38.3, 40.7],
        "age_weeks": 40.0,
        "corrected_gap_weeks": -0.4,
        "chart_age_weeks": 40.0,
        "charts": "all",
        "warnings": ["A test."],
        "model": {"id": "neonatal-age", "version": "0", "files": {}, "licence": ""},
        "segmented_by": None,
    }
