"""What a reader sees: the colored map lies on the planted lesion, in every orientation, however the scan lies.

The child marks voxels of the exported file; the picture is compared with the lesion's own gray values in the same view
without the map, and with the place where the ball was planted, in millimeters.
"""

import numpy as np
import pytest
from detecting import BRIGHT_AT, BRIGHT_RADIUS, DARK_AT, applyAndWait, writeScan
from scipy.ndimage import center_of_mass
from scipy.spatial.transform import Rotation

VIEWS = ("Red", "Green", "Yellow")
CASES = ("ras", "las", "oblique", "sagittal-stack", "rotated parent", "las under a rotated parent")


def turned() -> np.ndarray:
    """A rotation about no axis in particular, and a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (20, -15, 35), degrees=True).as_matrix()
    matrix[:3, 3] = (12, -7, 21)
    return matrix


def loadCase(case: str, folder):
    """The scan of a case in the scene, and the matrix (4, 4) that moves planted points to where they are now."""
    import slicer

    geometry = case.split()[0] if case.split()[0] in ("ras", "las", "oblique", "sagittal-stack") else "ras"
    scan = slicer.util.loadVolume(str(writeScan(folder, geometry)))
    if "parent" not in case:
        return scan, np.eye(4)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, turned())
    scan.SetAndObserveTransformNodeID(transform.GetID())
    return scan, turned()


def colored(picture: np.ndarray) -> np.ndarray:
    """Pixels that are not gray."""
    return np.ptp(picture.astype(int), axis=2) > 25


def warm(picture: np.ndarray) -> np.ndarray:
    """Pixels in the hues of what is brighter than healthy."""
    return picture[..., 0].astype(int) - picture[..., 2] > 25


def pixelOf(sliceNode, ras: np.ndarray, rows: int) -> np.ndarray:
    """Row and column of a point (RAS mm) in the picture of a slice view."""
    import slicer

    xyToRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())
    x, y = (np.linalg.inv(xyToRas) @ [*ras, 1.0])[:2]
    return np.array([rows - 1 - y, x])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("case", CASES)
def test_the_map_lies_on_the_lesion(rendering, fake_child, enter_module, tmp_path, case):
    import slicer

    scan, moved = loadCase(case, tmp_path)
    panel = enter_module("NeuroGenAD")
    panel.ui.inputSelector.setCurrentNode(scan)
    applyAndWait(panel)
    panel.ui.outlinesCheckBox.checked = False
    display = scan.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(1.5, 2.0)  # the lesion is white, all tissue is black
    manager = slicer.app.layoutManager()
    panel.ui.lesionTable.cellClicked.emit(0, 0)
    for name in VIEWS:
        widget = manager.sliceWidget(name)
        panel.ui.overlayCheckBox.checked = False
        alone = widget.picture().max(axis=2)
        lesion = alone > 127
        panel.ui.overlayCheckBox.checked = True
        _hideLegends()
        marked = warm(widget.picture())
        assert lesion.sum() > 200, (case, name)
        assert dice(marked, lesion) > 0.9, (case, name, dice(marked, lesion))
        node = widget.mrmlSliceNode()
        expected = pixelOf(node, (moved @ [*BRIGHT_AT, 1.0])[:3], len(alone))
        assert np.allclose(center_of_mass(marked), expected, atol=3), (case, name)
        radius = np.sqrt(marked.sum() / np.pi) * node.GetFieldOfView()[0] / node.GetDimensions()[0]
        assert radius == pytest.approx(BRIGHT_RADIUS, rel=0.15), (case, name)


@pytest.mark.parametrize("case", ["las", "oblique"])
def test_bright_and_dark_have_two_hues(rendering, fake_child, enter_module, tmp_path, case):
    """Warm where the scan is brighter than healthy, cool where it is darker; the legend is there."""
    import slicer

    scan, moved = loadCase(case, tmp_path)
    panel = enter_module("NeuroGenAD")
    applyAndWait(panel)
    widget = slicer.app.layoutManager().sliceWidget("Red")
    for row, (place, warm) in enumerate(((BRIGHT_AT, True), (DARK_AT, False))):
        panel.ui.lesionTable.cellClicked.emit(row, 0)
        _hideLegends()
        picture = widget.picture()
        at = pixelOf(widget.mrmlSliceNode(), (moved @ [*place, 1.0])[:3], len(picture))
        red, _, blue = picture[tuple(np.round(at).astype(int))].astype(int)
        assert (red > blue + 25) if warm else (blue > red + 25), (row, red, blue)


def test_the_legend_is_drawn(rendering, fake_child, enter_module, tmp_path):
    import slicer

    loadCase("ras", tmp_path)
    panel = enter_module("NeuroGenAD")
    applyAndWait(panel)
    panel.ui.lesionTable.cellClicked.emit(1, 0)
    widget = slicer.app.layoutManager().sliceWidget("Red")
    withLegend = colored(widget.picture())
    _hideLegends()
    assert withLegend.sum() > colored(widget.picture()).sum() + 100


def test_patient_right_is_on_the_left(rendering, fake_child, slicer_app, tmp_path):
    """Radiological convention in the axial and coronal view, whatever the order of the voxels in the file."""
    import slicer

    for geometry in ("ras", "las", "oblique"):
        slicer.util.loadVolume(str(writeScan(tmp_path, geometry, geometry)))
        for name in ("Red", "Green"):
            node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
            right, left = (pixelOf(node, np.array([x, 0.0, 0.0]), 320)[1] for x in (30, -30))
            assert right < left


def _hideLegends() -> None:
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        node.SetVisibility(False)
