"""What NeonatalBrainAge shows and how it ends: colors without blends, regions in the middle, Cancel, empty segments."""

import numpy as np
import pytest
from aging import InProcess, slicer_labels
from detecting import children, sceneNodes, waitUntil, workFolders
from scipy import ndimage


@pytest.fixture
def panel(slicer_app, enter_module):
    return enter_module("NeonatalBrainAge")


@pytest.fixture
def result(panel):
    """A result without a job, chosen in the panel: a board of cubes that touch, far from the origin."""
    import slicer
    from NeonatalBrainAgeLib.self_test import smallResult

    made = smallResult()
    board = slicer.util.arrayFromVolume(made.node("labels"))
    nearest = ndimage.distance_transform_edt(board == 0, return_distances=False, return_indices=True)
    slicer.util.updateVolumeFromArray(made.node("labels"), board[tuple(nearest)])
    made.node("labels").SetOrigin(200.0, 0.0, 0.0)
    made.node("regions").SetAndObserveTransformNodeID(_moved(slicer.mrmlScene).GetID())
    panel._panel.results.choose(made)
    return made


def _moved(scene):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = np.eye(4)
    matrix[0, 3] = 200.0
    import slicer

    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def _slice_colors(view) -> set[tuple[int, ...]]:
    from vtk.util.numpy_support import vtk_to_numpy

    layer = view.sliceLogic().GetBackgroundLayer()
    layer.UpdateTransforms()
    port = layer.GetImageDataConnection()
    port.GetProducer().Update()
    scalars = port.GetProducer().GetOutputDataObject(port.GetIndex()).GetPointData().GetScalars()
    return {tuple(map(int, color)) for color in np.unique(vtk_to_numpy(scalars), axis=0)}


def test_a_slice_shows_only_colors_of_regions(panel, result):
    """Between two regions lies no color of a third: the slice is cut finer than the voxels and shows no blend."""
    import slicer
    from NeonatalBrainAgeLib.coloring import SCALES

    column = result.table.GetTable().GetColumnByName("importance")
    for row in range(column.GetNumberOfValues()):
        column.SetValue(row, row % 2)
    combo = panel.ui.colorComboBox
    combo.setCurrentIndex(combo.findData("importance"))
    view = slicer.app.layoutManager().sliceWidget("Red")
    node = view.mrmlSliceNode()
    node.SetDimensions(317, 283, 1)
    node.SetFieldOfView(44.0, 40.0, 1.0)
    node.JumpSliceByCentering(*map(float, result.worldPoint(44)))
    shown = np.array([color[:3] for color in _slice_colors(view) if color[-1] > 0])
    expected = np.rint(255 * SCALES["importance"].rgb(np.array([0, 1])))
    distance = np.abs(shown[:, None] - expected).max(axis=2)
    assert (distance.min(axis=0) <= 2).all() and (distance.min(axis=1) <= 2).all(), shown


def test_regions_appear_in_the_middle_of_the_3d_view(rendering, panel, result):
    import slicer

    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    panel.ui.show3DCheckBox.checked = True
    camera = view.renderWindow().GetRenderers().GetFirstRenderer().GetActiveCamera()
    bounds = [0.0] * 6
    result.node("regions").GetRASBounds(bounds)
    middle = [(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2])]
    assert middle[0] > 190 and np.allclose(camera.GetFocalPoint(), middle, atol=3.0)
    camera.SetFocalPoint(0.0, 0.0, 0.0)
    panel.ui.colorComboBox.setCurrentIndex(panel.ui.colorComboBox.findData("rv_z"))
    assert camera.GetFocalPoint() == (0.0, 0.0, 0.0)  # where the user looks stays when only colors change


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancel_leaves_nothing(fake_child, panel, tmp_path, stubborn):
    fake_child.plan(seconds=60, stubborn=stubborn)
    panel.ui.inputSelector.setCurrentNode(slicer_labels(tmp_path))
    nodes, processes, folders = sceneNodes(), children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    assert not panel.ui.applyButton.enabled
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    waitUntil(lambda: not panel.logic.isRunning)
    waitUntil(lambda: children() <= processes)
    assert sceneNodes() == nodes and workFolders() == folders
    assert not panel.ui.regionTable.enabled
    assert "Cancelled" in panel.ui.messageLabel.text and panel.ui.applyButton.enabled


def test_an_empty_segment_is_refused_by_name(panel, tmp_path, monkeypatch):
    import slicer

    from NeuroGenLib.nodes import segmentOfLabel

    InProcess.install(monkeypatch)
    labels = slicer_labels(tmp_path)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
    slicer.util.updateVolumeFromArray(labels, _without(slicer.util.arrayFromVolume(labels), 48))
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, segmentation)
    empty = segmentation.GetSegmentation().AddEmptySegment("", "corpus callosum")
    segmentation.GetSegmentation().GetSegment(empty).SetLabelValue(48)
    assert segmentOfLabel(segmentation, 48) == empty
    panel.ui.inputSelector.setCurrentNode(segmentation)
    panel.ui.applyButton.click()
    waitUntil(lambda: not panel.logic.isRunning)
    assert "48 (corpus callosum)" in panel.ui.messageLabel.text


def _without(labels: np.ndarray, label: int) -> np.ndarray:
    return np.where(labels == label, 0, labels)
