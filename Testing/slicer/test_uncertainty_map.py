"""How far methods disagree, over the scan: which node lies in which view, in which colors, and when there is none."""

import numpy as np
import pytest
from detecting import BRIGHT_AT, DARK_AT, applyAndWait, results, waitUntil

MAX_SPREAD = 3.0


@pytest.fixture
def panel(fake_child, enter_module):
    return enter_module("NeuroGenAD")


@pytest.fixture
def joint(panel, scan):
    """The mean of all methods, examined by a click; the spread is 2.5 in the bright ball and 0 elsewhere."""
    combo = panel.ui.methodComboBox
    combo.setCurrentIndex(combo.findData("mean"))
    applyAndWait(panel)
    return results()[0]


def foreground(view: str = "Red") -> str | None:
    import slicer

    return slicer.app.layoutManager().sliceWidget(view).mrmlSliceCompositeNode().GetForegroundVolumeID()


def legend(node):
    import slicer

    return slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)


def test_a_click_shows_it_in_place_of_the_anomaly_map(panel, joint):
    ui, spread = panel.ui, joint.node("uncertainty")
    assert ui.uncertaintyCheckBox.enabled and not ui.uncertaintyCheckBox.checked
    assert foreground() == joint.map.GetID() and ui.uncertaintyLabel.isHidden()
    ui.uncertaintyCheckBox.click()
    assert {foreground(view) for view in ("Red", "Green", "Yellow")} == {spread.GetID()}
    assert not ui.overlayCheckBox.checked and not ui.uncertaintyLabel.isHidden()
    assert "standard deviations" in ui.uncertaintyLabel.text
    assert legend(spread).GetVisibility() and legend(spread).GetTitleText() == "Spread\nSD"
    assert not legend(joint.map).GetVisibility()
    ui.uncertaintyCheckBox.click()
    assert foreground() == joint.map.GetID() and ui.overlayCheckBox.checked
    assert legend(joint.map).GetVisibility() and not legend(spread).GetVisibility()
    ui.uncertaintyCheckBox.click()
    ui.overlayCheckBox.click()
    assert foreground() == joint.map.GetID() and not ui.uncertaintyCheckBox.checked


def test_it_has_colors_and_range_of_its_own(panel, joint):
    from NeuroGenLib.nodes import folderOf

    panel.ui.uncertaintyCheckBox.click()
    spread = joint.node("uncertainty")
    shown = spread.GetDisplayNode()
    assert (shown.GetWindowLevelMin(), shown.GetWindowLevelMax()) == (0.0, MAX_SPREAD)
    table = shown.GetColorNode()
    assert table.GetID() != joint.map.GetDisplayNode().GetColorNode().GetID()
    assert folderOf(table) == folderOf(spread)  # so that deleting the result deletes it
    panel.ui.opacitySlider.value = 0.3
    composite = _red().mrmlSliceCompositeNode()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def _red():
    import slicer

    return slicer.app.layoutManager().sliceWidget("Red")


@pytest.mark.parametrize(("place", "isGreen"), [(BRIGHT_AT, True), (DARK_AT, False)], ids=["spread", "none"])
def test_where_methods_agree_the_scan_is_as_it_is(rendering, panel, joint, place, isGreen):
    import slicer

    panel.ui.outlinesCheckBox.checked = False
    panel.ui.uncertaintyCheckBox.click()
    for node in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        node.SetVisibility(False)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*place)
    picture = _red().picture().astype(int)
    rows, columns, _ = picture.shape
    red, green, blue = picture[rows // 2, columns // 2]
    assert (green - max(red, blue) > 25) if isGreen else (np.ptp((red, green, blue)) < 5)


def test_one_method_has_none_and_says_so(panel, scan, fake_child):
    assert not panel.ui.uncertaintyCheckBox.enabled
    assert "no result" in panel.ui.uncertaintyCheckBox.toolTip
    applyAndWait(panel)
    assert not panel.ui.uncertaintyCheckBox.enabled and "one method" in panel.ui.uncertaintyCheckBox.toolTip


def test_another_result_without_it_shows_its_own_map(panel, joint):
    ui = panel.ui
    ui.uncertaintyCheckBox.click()
    ui.methodComboBox.setCurrentIndex(ui.methodComboBox.findData("reflect"))
    applyAndWait(panel)
    assert foreground() == results()[1].map.GetID() and ui.overlayCheckBox.checked
    assert not ui.uncertaintyCheckBox.checked and not legend(joint.node("uncertainty")).GetVisibility()
    ui.resultComboBox.setCurrentIndex(0)
    assert foreground() == joint.node("uncertainty").GetID() and ui.uncertaintyCheckBox.checked


def test_beside_another_method_both_show_their_anomaly_maps(panel, joint):
    ui = panel.ui
    ui.uncertaintyCheckBox.click()
    ui.methodComboBox.setCurrentIndex(ui.methodComboBox.findData("reflect"))
    applyAndWait(panel)
    ui.resultComboBox.setCurrentIndex(0)
    ui.compareButton.click()
    assert not ui.uncertaintyCheckBox.enabled and "End the comparison" in ui.uncertaintyCheckBox.toolTip
    assert foreground("NeuroGenFirstAxial") == joint.map.GetID()
    assert ui.compareTable.item(0, 0).text().startswith("Mean of")
    ui.compareButton.click()
    assert foreground() == joint.node("uncertainty").GetID()


def test_side_by_side_shows_it_in_the_third_view(panel, joint):
    panel.ui.uncertaintyCheckBox.click()
    panel.ui.sideBySideButton.click()
    assert foreground("NeuroGenDeviation") == joint.node("uncertainty").GetID()
    assert _label("NeuroGenDeviation") == "Uncertainty"
    panel.ui.uncertaintyCheckBox.click()
    assert foreground("NeuroGenDeviation") == joint.map.GetID() and _label("NeuroGenDeviation") == "Deviation"


def _label(view: str) -> str:
    import slicer

    return slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().GetLayoutLabel()


def test_a_saved_scene_shows_it_again(panel, joint, tmp_path):
    import slicer

    panel.ui.uncertaintyCheckBox.click()
    path = tmp_path / "saved.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    waitUntil(lambda: panel.ui.uncertaintyCheckBox.checked)
    spread = results()[0].node("uncertainty")
    assert foreground() == spread.GetID()
    assert spread.GetDisplayNode().GetColorNode().GetAttribute("NeuroGen.spread") == "own"


def test_a_script_shows_it(panel, joint):
    from NeuroGenADLib.settings import ViewSettings

    panel.logic.show(joint, ViewSettings(uncertainty=True))
    assert foreground() == joint.node("uncertainty").GetID()
