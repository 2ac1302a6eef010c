"""A result without a network, for the self test of the module."""

import json

import numpy as np
import slicer

from NeuroGenADLib.result import MAP, Result
from NeuroGenLib.nodes import addToFolder, newSegmentation, resultFolder
from NeuroGenLib.scene_result import ROLE

SHAPE = (20, 24, 28)  # K, J, I


def twoLesions() -> Result:
    """A brain of 1 mm voxels with a bright region of score 8 and a dark one of score 5."""
    score = np.zeros(SHAPE, np.float32)
    score[3:9, 3:9, 3:9], score[12:17, 14:20, 18:24] = 8, -5
    scan = _volume("scan", np.ones(SHAPE, np.float32))
    result = Result(_volume("scan anomaly map", score))
    result.map.SetAttribute(ROLE, MAP)
    record = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "scan record")
    record.SetText(json.dumps(_record()))
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "scan table")
    parts = {"input": scan, "record": record, "table": table, "lesions": newSegmentation("scan regions", result.map)}
    folder = resultFolder(scan, "scan result")
    for role, node in parts.items():
        result.refer(role, node)
        if role != "input":
            addToFolder(folder, node)
    addToFolder(folder, result.map)
    return result


def _volume(name: str, array: np.ndarray):
    return slicer.util.addVolumeFromArray(array, name=name)


def _record() -> dict:
    model = {"id": "none", "version": "0", "method": "none", "weights_sha256": "", "licence": ""}
    return {
        "model": model,
        "settings": {"direction": "both", "minimum_lesion_ml": 0.1},
        "device": "cpu",
        "input": {"affine": np.eye(4).tolist()},
        "operating_point": {"threshold": 3.0, "sentence": "A test."},
        "facts": {},
        "warnings": [],
    }
