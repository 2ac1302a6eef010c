"""Two methods beside each other: what is in which slice view, where, in which colors and outlines."""

import numpy as np
import pytest
from comparing import HIGH, SHIFTED, SPACING_MM, VIEWS, newResult, newScan, shownViews, widgets


@pytest.fixture
def panel(fake_child, enter_module):
    return enter_module("NeuroGenAD")


@pytest.fixture
def two(panel):
    """Results of REFLECT (shown) and MAD-AD on one scan."""
    scan = newScan()
    made = [newResult(panel.logic, scan, method) for method in ("reflect", "mad-ad")]
    panel._panel.results.choose(made[0])
    return made


def positions(column: int) -> list[float]:
    return [widget.sliceLogic().GetSliceOffset() for widget in widgets(column)]


def test_each_column_shows_its_method_over_the_same_scan(panel, two):
    panel.ui.opacitySlider.value = 0.4
    panel.ui.compareButton.click()
    for column, (result, title) in enumerate(zip(two, ("REFLECT", "MAD-AD"))):
        for widget, orientation in zip(widgets(column), ("Axial", "Coronal")):
            composite = widget.mrmlSliceCompositeNode()
            assert widget.mrmlSliceNode().GetLayoutLabel() == title
            assert widget.mrmlSliceNode().GetOrientation() == orientation
            assert composite.GetBackgroundVolumeID() == two[0].input.GetID()
            assert composite.GetForegroundVolumeID() == result.map.GetID()
            assert composite.GetForegroundOpacity() == pytest.approx(0.4)
            assert composite.GetLinkedControl() and composite.GetHotLinkedControl()
    assert [widget.mrmlSliceNode().GetLayoutName() for widget in shownViews()] == [*VIEWS[0], *VIEWS[1]]


def test_colors_and_range_are_the_same_and_the_threshold_is_each_methods_own(panel, two):
    panel.ui.compareButton.click()
    displays = [result.map.GetDisplayNode() for result in two]
    assert {(each.GetWindowLevelMin(), each.GetWindowLevelMax()) for each in displays} == {(-10.0, 10.0)}
    colors = []
    for display in displays:
        rgba = np.zeros((256, 4))
        for k in range(256):
            color = [0.0] * 4
            display.GetColorNode().GetColor(k, color)
            rgba[k] = color
        colors.append(rgba)
    np.testing.assert_array_equal(colors[0][:, :3], colors[1][:, :3])
    visible = [np.abs(np.linspace(-10, 10, 256)[rgba[:, 3] > 0]).min() for rgba in colors]
    assert visible == pytest.approx([1.5, 1.0], abs=0.1)  # half of 3 and of 2


def test_both_columns_are_at_the_place_where_the_user_was(panel, two):
    panel.ui.lesionTable.cellClicked.emit(1, 0)
    center = [-SPACING_MM * 29.5, -SPACING_MM * 29.5, SPACING_MM * 27.0]  # of LOW
    panel.ui.compareButton.click()
    for column in (0, 1):
        assert positions(column) == pytest.approx([center[2], center[1]], abs=SPACING_MM)
    panel.ui.lesionTable.cellClicked.emit(0, 0)
    panel.ui.compareButton.click()
    import slicer

    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    assert red == pytest.approx(SPACING_MM * 9.5, abs=SPACING_MM)  # of HIGH


def test_scrolling_one_method_scrolls_the_other(panel, two):
    import slicer

    link = slicer.vtkMRMLSliceLinkLogic()
    link.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    link.SetMRMLScene(slicer.mrmlScene)
    panel.ui.compareButton.click()
    logic = widgets(0)[0].sliceLogic()
    before = positions(1)
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(before[0] + 3 * SPACING_MM)
    logic.EndSliceOffsetInteraction()
    assert positions(1) == pytest.approx([before[0] + 3 * SPACING_MM, before[1]])
    link.SetMRMLScene(None)


def test_outlines_stay_in_their_column_and_come_back(panel, two):
    panel.ui.compareButton.click()
    for column, result in enumerate(two):
        display = result.node("lesions").GetDisplayNode()
        assert display.GetVisibility2DOutline()
        assert list(display.GetViewNodeIDs()) == [widget.mrmlSliceNode().GetID() for widget in widgets(column)]
    panel.ui.compareButton.click()
    first, second = (result.node("lesions").GetDisplayNode() for result in two)
    assert not first.GetViewNodeIDs() and first.GetVisibility2DOutline()
    assert not second.GetViewNodeIDs() and not second.GetVisibility2DOutline()


def test_another_volume_below_has_one_brightness(panel, two):
    from NeuroGenLib.display import setWindow

    setWindow(two[0].node("pseudoHealthy"), 3.0, 7.0)
    panel.ui.compareButton.click()
    panel.ui.showHealthyButton.click()
    for column, result in enumerate(two):
        healthy = result.node("pseudoHealthy")
        assert widgets(column)[0].mrmlSliceCompositeNode().GetBackgroundVolumeID() == healthy.GetID()
        display = healthy.GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (3.0, 7.0)


@pytest.mark.parametrize("column", [0, 1])
def test_the_pictures_show_each_methods_region(rendering, panel, two, column):
    """Warm pixels in the axial view, as places in the scan: REFLECT marked HIGH, MAD-AD the box beside it."""
    import slicer

    panel.ui.outlinesCheckBox.checked = False
    panel.ui.opacitySlider.value = 1.0
    panel.ui.compareButton.click()
    panel.ui.lesionTable.cellClicked.emit(0, 0)
    for node in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        node.SetVisibility(False)
    widget = widgets(column)[0]
    picture = widget.picture().astype(int)
    rows, columns = np.nonzero(picture[..., 0] - picture[..., 2] > 60)
    xy = np.column_stack([columns, len(picture) - 1 - rows, np.zeros(len(rows)), np.ones(len(rows))])
    ras = slicer.util.arrayFromVTKMatrix(widget.mrmlSliceNode().GetXYToRAS()) @ xy.T
    box = (HIGH, SHIFTED)[column]
    for axis, side in ((0, box[2]), (1, box[1])):
        ends = -SPACING_MM * (side.stop - 0.5), -SPACING_MM * (side.start - 0.5)
        assert (ras[axis].min(), ras[axis].max()) == pytest.approx(ends, abs=SPACING_MM)


def test_a_legend_is_in_both_columns(rendering, panel, two):
    import slicer

    panel.ui.compareButton.click()
    for result in two:
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(result.map)
        assert legend.GetVisibility() and legend.GetTitleText() == "SD"
    for column in (0, 1):
        picture = widgets(column)[0].picture().astype(int)
        corner = picture[int(0.6 * len(picture)) :, int(0.9 * picture.shape[1]) :]
        assert (np.ptp(corner, axis=2) > 60).sum() > 100
