"""The colors of an anomaly map at fixed scores, in the table and in what the display makes of it; layers and views."""

import numpy as np
import pytest

pytest.importorskip("slicer")
import slicer
from slicer.util import updateVolumeFromArray
from vtk.util.numpy_support import vtk_to_numpy

from NeuroGenLib import display, heat, layouts, nodes

# Golden: the definition of the two hues, worked out by hand at the nodes of the ramps.
GOLDEN = {
    -12.0: (0.65, 1.0, 1.0),
    -10.0: (0.65, 1.0, 1.0),
    -5.5: (0.0, 0.6, 1.0),
    -1.0: (0.0, 0.0, 0.5),
    1.0: (0.5, 0.0, 0.0),
    5.5: (1.0, 0.55, 0.0),
    10.0: (1.0, 1.0, 0.55),
    12.0: (1.0, 1.0, 0.55),
}


def make_map(scores):
    """A volume that holds the given scores along i."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "map")
    updateVolumeFromArray(node, np.asarray(scores, np.float32).reshape(1, 1, -1))
    return node


def shown(node):
    """RGBA in [0, 255] that the slice view gets, one row a voxel."""
    producer = node.GetDisplayNode().GetImageDataConnection().GetProducer()
    producer.Update()
    return vtk_to_numpy(producer.GetOutput().GetPointData().GetScalars()).astype(int)


def test_the_colors_of_fixed_scores():
    colors = heat.heatColors(np.array(list(GOLDEN)))
    assert np.allclose(colors[:, :3], list(GOLDEN.values()))
    assert (colors[:, 3] == 1).all()


@pytest.mark.parametrize("threshold", [0.0, 3.7])
def test_what_is_healthy_is_transparent(threshold):
    scores = np.linspace(-12, 12, 4001)
    visible = heat.heatColors(scores, threshold=threshold)[:, 3]
    assert np.array_equal(visible == 1, np.abs(scores) >= max(threshold, 1.0))
    assert set(visible) == {0.0, 1.0}


def test_bright_is_never_mistaken_for_dark():
    """Red leads where bright, blue where dark, at every score; larger scores are lighter."""
    scores = np.linspace(1, 12, 500)
    bright, dark = heat.heatColors(scores)[:, :3], heat.heatColors(-scores)[:, :3]
    assert (bright[:, 0] - bright[:, 2] > 0.4).all()
    assert (dark[:, 2] - dark[:, 0] > 0.3).all()
    for hue in (bright, dark):
        assert (np.diff(hue.sum(axis=1)) >= -1e-9).all()


@pytest.mark.parametrize("signed", [True, False])
def test_the_display_shows_the_colors_of_the_scores(bare_scene, signed):
    scores = np.array([-30, -11, -9, -5.5, -3.9, -3.5, -1, 0, 1, 3.5, 3.9, 5.5, 9, 11, 30])
    scores = scores if signed else np.abs(scores)
    node = make_map(scores)
    heat.applyHeat(node, threshold=3.7, signed=signed)
    expected = 255 * heat.heatColors(np.clip(scores, -heat.RANGE, heat.RANGE), threshold=3.7)
    found = shown(node)
    assert np.array_equal(found[:, 3], expected[:, 3])
    visible = found[:, 3] > 0
    assert np.abs(found - expected)[visible].max() <= 6  # 256 entries over the range


def test_a_color_means_the_same_in_every_map(bare_scene):
    """Whatever else a map holds: nothing is scaled to its own range."""
    quiet, loud = make_map([0, 4.0, 5.0]), make_map([-80, 4.0, 200])
    for node in (quiet, loud):
        heat.applyHeat(node)
    assert np.array_equal(shown(quiet)[1], shown(loud)[1])


def test_a_threshold_moves_one_map_only_and_leaves_no_table_behind(bare_scene):
    one, other = make_map([0, 4, 8]), make_map([0, 4, 8])
    heat.applyHeat(one, threshold=3)
    heat.applyHeat(other, threshold=3)
    tables = bare_scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")
    for threshold in (5.0, 6.0, 7.0):
        heat.applyHeat(one, threshold=threshold)
    assert list(shown(one)[:, 3]) == [0, 0, 255]
    assert list(shown(other)[:, 3]) == [0, 255, 255]
    assert bare_scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") == tables


def test_the_shared_table_is_one(bare_scene):
    assert heat.heatColorTable() is heat.heatColorTable(signed=True)
    assert heat.heatColorTable(signed=False) is not heat.heatColorTable()


def add_view(scene, name):
    """The nodes of a slice view, as a layout makes them."""
    view = slicer.vtkMRMLSliceNode()
    view.SetName(name)
    view.SetLayoutName(name)
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName(name)
    scene.AddNode(view)
    return view, scene.AddNode(composite)


def test_an_overlay_lies_over_its_scan_in_the_usual_views_only(bare_scene):
    scan, result = make_map([1, 2, 3]), make_map([0, 4, 8])
    usual = [add_view(bare_scene, name)[1] for name in ("Red", "Green", "Yellow")]
    beside = add_view(bare_scene, layouts.SIDE_BY_SIDE_VIEWS[0])[1]
    display.showOverlay(scan, result, 0.4, 3.0)
    for composite in usual:
        assert composite.GetBackgroundVolumeID() == scan.GetID()
        assert composite.GetForegroundVolumeID() == result.GetID()
        assert composite.GetForegroundOpacity() == pytest.approx(0.4)
    assert beside.GetBackgroundVolumeID() is None
    display.setOverlayOpacity(0.9)
    assert usual[0].GetForegroundOpacity() == pytest.approx(0.9)
    display.hideOverlay(result)
    assert [composite.GetForegroundVolumeID() for composite in usual] == [None] * 3
    display.showOverlay(result, None)
    assert [composite.GetBackgroundVolumeID() for composite in usual] == [result.GetID()] * 3


def test_linking_and_jumping_reach_every_view(bare_scene):
    views = [add_view(bare_scene, name) for name in ("Red", "Green", layouts.SIDE_BY_SIDE_VIEWS[2])]
    display.linkSlices()
    assert all(composite.GetLinkedControl() and composite.GetHotLinkedControl() for _, composite in views)
    display.linkSlices(False)
    assert not any(composite.GetLinkedControl() for _, composite in views)
    display.jumpTo((12.5, -30.0, 44.0))
    for view, _ in views:
        matrix = view.GetSliceToRAS()
        assert [matrix.GetElement(k, 3) for k in range(3)] == pytest.approx([12.5, -30.0, 44.0])


def test_everything_is_quiet_without_views(bare_scene):
    scan, result = make_map([1, 2, 3]), make_map([0, 4, 8])
    assert display.sideBySideLayout() is False
    assert display.showSideBySide(scan, scan, result) is False
    display.standardLayout()
    display.fitSlices()
    display.showOverlay(scan, result)
    display.jumpTo((0, 0, 0))


def test_a_legend_says_what_it_is_and_goes_with_its_map(bare_scene):
    result = make_map([0, 4, 8])
    folder = nodes.resultFolder(None, "result")
    nodes.addToFolder(folder, result)
    display.showOverlay(None, result)
    legend = display.showLegend(result, "Healthy SD")
    assert legend.GetTitleText() == "Healthy SD"
    assert legend.GetVisibility()
    assert display.showLegend(result, "Healthy SD") is legend
    display.hideLegend(result)
    assert not legend.GetVisibility()
    before = bare_scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")
    nodes.removeFolder(folder)
    assert bare_scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0
    assert bare_scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") == before - 1


def test_a_flash_ends_as_it_began(bare_scene, monkeypatch):
    scan = make_map(np.arange(6.0))
    segmentation = nodes.newSegmentation("Lesions", scan)
    nodes.setSegments(segmentation, np.array([0, 1, 1, 0, 2, 0]).reshape(1, 1, -1), {1: "a", 2: "b"}, scan)
    segment, view = nodes.segmentOfLabel(segmentation, 2), segmentation.GetDisplayNode()
    waiting, seen = [], []
    monkeypatch.setattr(display, "_later", lambda ms, call: waiting.append(call))
    display.flashSegment(segmentation, segment)
    display.flashSegment(segmentation, segment)  # a second click while it flashes
    while waiting:
        seen.append(view.GetSegmentVisibility(segment))
        waiting.pop()()
    assert seen == [False, True, False, True, False]
    assert view.GetSegmentVisibility(segment)
    display.flashSegment(segmentation, "no such segment")
    assert waiting == []


@pytest.mark.parametrize("gone", ["segment", "display"])
def test_a_flash_stops_when_its_segment_goes(bare_scene, monkeypatch, gone):
    scan = make_map(np.arange(6.0))
    segmentation = nodes.newSegmentation("Lesions", scan)
    nodes.setSegments(segmentation, np.array([0, 1, 1, 0, 2, 0]).reshape(1, 1, -1), {1: "a", 2: "b"}, scan)
    waiting = []
    monkeypatch.setattr(display, "_later", lambda ms, call: waiting.append(call))
    display.flashSegment(segmentation, nodes.segmentOfLabel(segmentation, 1))
    if gone == "segment":
        segmentation.GetSegmentation().RemoveAllSegments()
    else:
        bare_scene.RemoveNode(segmentation.GetDisplayNode())
    waiting.pop()()
    assert waiting == []
    assert display._flashing == set()


def test_colors_and_threshold_survive_a_saved_scene(bare_scene, tmp_path):
    result = make_map([-8, -4, 0, 4, 8])
    heat.applyHeat(result, threshold=5)
    before = shown(result)
    path = str(tmp_path / "scene.mrb")
    remote, manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    remote.SetMRMLScene(bare_scene)
    remote.GetCacheManager().SetRemoteCacheDirectory(str(tmp_path))
    manager.SetMRMLScene(bare_scene)
    manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    bare_scene.SetRootDirectory(str(tmp_path))
    assert bare_scene.WriteToMRB(path)
    bare_scene.Clear(0)
    assert bare_scene.ReadFromMRB(path)
    result = bare_scene.GetFirstNodeByName("map")
    assert np.array_equal(shown(result), before)
    heat.applyHeat(result, threshold=3)
    assert list(shown(result)[:, 3]) == [255, 255, 0, 255, 255]
