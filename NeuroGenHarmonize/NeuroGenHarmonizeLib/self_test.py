"""A result without a network, for the self test of the module and the tests of its parts."""

import json

import numpy as np
import slicer

from NeuroGenHarmonizeLib.result import TABLE, Result
from NeuroGenLib.nodes import addToFolder, resultFolder
from NeuroGenLib.scene_result import ROLE
from NeuroGenLib.tables import tableNode

SIDE = 32


def smallResult(scans: int = 2) -> Result:
    """Balls as inputs, their square roots as harmonized scans."""
    axes = np.indices((SIDE, SIDE, SIDE)) - SIDE / 2
    ball = np.clip(12 - np.sqrt((axes**2).sum(0)), 0, None).astype(np.float32)
    inputs = [_volume(f"scan {k}", ball + k) for k in range(scans)]
    folder = resultFolder(inputs[0], "scan 0 harmonized")
    columns = {
        "scan": [node.GetName() for node in inputs],
        "bits_before": [6.5] * scans,
        "bits_after": [5.5] * scans,
        "bits_reference": [5.4] * scans,
        "steps": [20] * scans,
        "stop_reason": ["source bits"] * scans,
        "ssim_to_input": [0.97] * scans,
        "note": [""] * scans,
    }
    table = tableNode("small harmonization", columns)
    addToFolder(folder, table)
    table.SetAttribute(ROLE, TABLE)
    result = Result(table)
    for k, node in enumerate(inputs):
        result.refer(f"input{k}", node)
        result.keep(f"harmonized{k}", _volume(f"scan {k} harmonized", np.sqrt(ball + k)))
    record = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "small record")
    record.SetText(
        json.dumps({"model": {"id": "harmonize-t1-adult", "version": "0"}, "warnings": {"scan 0": ["A test."]}})
    )
    result.keep("record", record)
    return result


def _volume(name: str, array: np.ndarray):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, array)
    node.CreateDefaultDisplayNodes()
    return node
