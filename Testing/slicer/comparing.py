"""What tests of comparing methods share: results of two methods on one scan, made by hand without any network."""

import json

import numpy as np

VIEWS = (("NeuroGenFirstAxial", "NeuroGenFirstCoronal"), ("NeuroGenSecondAxial", "NeuroGenSecondCoronal"))
SHAPE = (40, 40, 40)  # K, J, I
SPACING_MM = 2.0
VOXEL_ML = SPACING_MM**3 / 1000
# Scores in boxes of 10 x 10 x 10 voxels = 8 ml, and one of 5 x 10 x 10. K, J, I.
HIGH, LOW = (slice(5, 15), slice(5, 15), slice(5, 15)), (slice(25, 30), slice(25, 35), slice(25, 35))
SHIFTED, WEAK = (slice(5, 15), slice(5, 15), slice(10, 20)), (slice(25, 35), slice(5, 15), slice(5, 15))
THRESHOLDS = {"reflect": 3.0, "mad-ad": 2.0}
SCORES = {"reflect": ((HIGH, 8.0), (LOW, -5.0)), "mad-ad": ((SHIFTED, 6.0), (WEAK, 1.5))}


def widgets(column: int) -> list:
    """The slice views of one method: axial, coronal."""
    import slicer

    return [slicer.app.layoutManager().sliceWidget(name) for name in VIEWS[column]]


def shownViews() -> list:
    """The views of the layout in force."""
    import slicer

    return slicer.app.layoutManager().shownViews()


def cells(panel) -> list[list[str]]:
    """What the table of the comparison shows."""
    table = panel.ui.compareTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def newScan(name: str = "scan"):
    """A scan whose gray values tell the place."""
    import slicer

    array = np.indices(SHAPE).sum(0).astype(np.float32)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1]), name=name)


def newResult(logic, scan, method: str):
    """What a method found in the scan, cut at its operating point."""
    import slicer
    from NeuroGenADLib.result import MAP, Result

    from NeuroGenLib.geometry import ijkToRas
    from NeuroGenLib.nodes import addToFolder, newSegmentation, resultFolder, stamp
    from NeuroGenLib.scene_result import ROLE

    score = np.zeros(SHAPE, np.float32)
    for box, value in SCORES[method]:
        score[box] = value
    result = Result(slicer.util.addVolumeFromArray(score, ijkToRAS=ijkToRas(scan), name=f"{method} map"))
    result.map.SetAttribute(ROLE, MAP)
    addToFolder(resultFolder(scan, f"{scan.GetName()} NeuroGen adult-{method}"), result.map)
    result.refer("input", scan)
    healthy = slicer.util.addVolumeFromArray(np.ones(SHAPE, np.float32), ijkToRAS=ijkToRas(scan), name="healthy")
    result.keep("pseudoHealthy", healthy)
    record = result.keep("record", slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", f"{method} record"))
    record.SetText(json.dumps(_record(method, ijkToRas(scan))))
    result.keep("table", slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", f"{method} table"))
    result.keep("lesions", newSegmentation(f"{method} regions", result.map))
    stamp(result.map, {"model": f"adult-{method}", "method": method, "ensemble": []})
    logic.recut(result, result.record.defaultCut)
    return result


def _record(method: str, affine: np.ndarray) -> dict:
    model = {"id": f"adult-{method}", "version": "1", "method": method, "weights_sha256": "", "licence": ""}
    return {
        "model": model,
        "settings": {"direction": "both", "minimum_lesion_ml": 0.1},
        "device": "cpu",
        "input": {"affine": affine.tolist()},
        "operating_point": {"threshold": THRESHOLDS[method], "sentence": "A test."},
        "facts": {},
        "warnings": [],
    }
