"""Comparing two methods: what the table says, and how a comparison begins and ends."""

import pytest
from comparing import VOXEL_ML, cells, newResult, newScan, shownViews, widgets
from detecting import applyAndWait, results, waitUntil


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


def shownLayout() -> int:
    import slicer

    return slicer.app.layoutManager().layout


def offered(panel) -> list[str]:
    combo = panel.ui.compareComboBox
    return [combo.itemText(k) for k in range(combo.count)]


# What the table says


def test_the_table_counts_what_each_and_what_both_marked(panel, two):
    """REFLECT 1000 + 500 voxels, MAD-AD 1000, of which 5 x 10 x 10 lie in HIGH."""
    panel.ui.compareButton.click()
    marked = [1500 * VOXEL_ML, 1000 * VOXEL_ML, 500 * VOXEL_ML]
    assert marked == [12.0, 8.0, 4.0]
    assert cells(panel) == [["REFLECT", "2", "12.0"], ["MAD-AD", "1", "8.0"], ["Marked by both", "", "4.0"]]
    assert "0.40" in panel.ui.compareLabel.text and "operating point" in panel.ui.compareLabel.text
    assert not panel.ui.compareTable.isHidden()


def test_both_are_cut_at_the_same_multiple_of_their_operating_points(panel, two):
    panel.ui.compareButton.click()
    panel.ui.thresholdSlider.value = 6.0  # twice that of REFLECT: LOW is not marked any more
    waitUntil(lambda: "2.00 times" in panel.ui.compareLabel.text)
    assert two[1].cut.threshold == pytest.approx(4.0)
    assert cells(panel) == [["REFLECT", "1", "8.0"], ["MAD-AD", "1", "8.0"], ["Marked by both", "", "4.0"]]
    assert "0.50" in panel.ui.compareLabel.text
    panel.ui.directionComboBox.setCurrentIndex(panel.ui.directionComboBox.findData("dark"))
    waitUntil(lambda: "Neither method marks anything" in panel.ui.compareLabel.text)
    assert two[1].cut.direction == "dark"
    panel.ui.defaultThresholdButton.click()
    waitUntil(lambda: "0.40" in panel.ui.compareLabel.text)
    assert two[1].cut == two[1].record.defaultCut


def test_the_other_result_is_cut_alike_when_the_comparison_starts(panel, two):
    """Its own threshold of before would compare two different questions."""
    from dataclasses import replace

    panel.logic.recut(two[1], replace(two[1].cut, threshold=1.0))
    panel.ui.compareButton.click()
    assert two[1].cut == two[1].record.defaultCut
    assert cells(panel)[1] == ["MAD-AD", "1", "8.0"]


def test_an_edited_segment_counts_as_it_is(panel, two):
    panel.ui.compareButton.click()
    segments = two[0].node("lesions").GetSegmentation()
    segments.RemoveSegment(segments.GetNthSegmentID(0))  # HIGH
    panel._panel.update()
    assert cells(panel)[0] == ["REFLECT", "1", "4.0"] and cells(panel)[2][2] == "0.0"


def test_updating_the_panel_counts_nothing_again(panel, two, monkeypatch):
    import sys

    panel.ui.compareButton.click()
    monkeypatch.setattr(sys.modules["NeuroGenAD"], "compareMarkings", None)  # a call would fail
    panel.ui.opacitySlider.value = 0.3
    panel._panel.update()
    assert cells(panel)[0] == ["REFLECT", "2", "12.0"]


# How it begins and ends


def test_the_same_button_goes_back_to_the_usual_views(panel, two):
    import slicer

    assert panel.ui.compareButton.text == "Compare" and panel.ui.compareTable.isHidden()
    panel.ui.compareButton.click()
    assert panel.ui.compareButton.text == "End comparison" and panel.ui.compareButton.checked
    panel.ui.compareButton.click()
    assert shownLayout() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert panel.ui.compareButton.text == "Compare" and panel.ui.compareTable.isHidden()
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == two[0].map.GetID()
    assert not slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(two[1].map).GetVisibility()


def test_side_by_side_and_comparison_take_turns(panel, two):
    panel.ui.compareButton.click()
    compared = shownLayout()
    panel.ui.sideBySideButton.click()
    assert panel.ui.sideBySideButton.checked and not panel.ui.compareButton.checked
    assert [widget.mrmlSliceNode().GetLayoutName() for widget in shownViews()][0] == "NeuroGenInput"
    panel.ui.compareButton.click()
    assert shownLayout() == compared and not panel.ui.sideBySideButton.checked


@pytest.mark.parametrize("deleted", [0, 1])
def test_deleting_a_compared_result_ends_the_comparison(panel, two, deleted):
    import slicer

    panel.ui.compareButton.click()
    if deleted == 0:
        panel.ui.deleteResultButton.click()
    else:
        two[1].remove()
        waitUntil(lambda: not panel.ui.compareButton.checked)
    assert not panel.ui.compareButton.checked and panel.ui.compareTable.isHidden()
    assert [result.map.GetID() for result in results()] == [two[1 - deleted].map.GetID()]
    waitUntil(lambda: shownLayout() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    newResult(panel.logic, results()[0].input, "mad-ad")
    panel._panel.update()
    assert not panel.ui.compareButton.checked  # it does not begin again by itself


def test_a_result_of_another_scan_is_not_offered(panel, two):
    other = newResult(panel.logic, newScan("another"), "mad-ad")
    panel._panel.update()
    assert offered(panel).count("MAD-AD") == 1
    panel.ui.compareButton.click()
    panel._panel.results.choose(other)
    assert not panel.ui.compareButton.checked
    with pytest.raises(ValueError, match="different scans"):
        panel.logic.compare(two[0], other)


def test_two_results_of_one_method_are_told_apart_by_their_names(panel, two):
    newResult(panel.logic, two[0].input, "reflect")
    panel._panel.update()
    combo = panel.ui.compareComboBox
    combo.setCurrentIndex(1)
    panel.ui.compareButton.click()
    labels = [widgets(column)[0].mrmlSliceNode().GetLayoutLabel() for column in (0, 1)]
    assert labels == ["scan NeuroGen adult-reflect", "scan NeuroGen adult-reflect_1"]


def test_choosing_another_method_while_comparing_shows_it(panel, two):
    third = newResult(panel.logic, two[0].input, "reflect")
    panel._panel.update()
    panel.ui.compareButton.click()
    panel.ui.compareComboBox.setCurrentIndex(1)
    assert widgets(1)[0].mrmlSliceCompositeNode().GetForegroundVolumeID() == third.map.GetID()
    assert panel.ui.compareButton.checked


def test_a_saved_comparison_comes_back(panel, two, tmp_path):
    import slicer

    panel.ui.compareButton.click()
    path = tmp_path / "saved.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    waitUntil(lambda: panel.ui.compareButton.checked)
    assert cells(panel)[0] == ["REFLECT", "2", "12.0"]
    shown = [widgets(column)[0].mrmlSliceCompositeNode().GetForegroundVolumeID() for column in (0, 1)]
    assert shown == [result.map.GetID() for result in results()]


# A method that was not run yet


def test_without_a_scan_the_button_says_what_is_missing(panel):
    assert not panel.ui.compareButton.enabled and "Choose the scan" in panel.ui.compareButton.toolTip


def test_without_its_scan_a_result_cannot_be_compared(panel, two):
    import slicer

    slicer.mrmlScene.RemoveNode(two[0].input)
    waitUntil(lambda: not panel.ui.compareButton.enabled)
    assert "removed from the scene" in panel.ui.compareButton.toolTip


def test_the_second_method_is_run_and_then_compared(panel, scan, fake_child):
    applyAndWait(panel)
    assert offered(panel)[0] == "MAD-AD (runs first)"
    assert panel.ui.compareButton.toolTip == "Runs MAD-AD on scan, then shows both beside each other"
    fake_child.plan(seconds=0.5)
    panel.ui.compareButton.click()
    assert not panel.ui.compareButton.enabled and "being examined" in panel.ui.compareButton.toolTip
    words = panel.logic._job._job.worker.command
    assert words[words.index("--model") + 1] == "adult-mad-ad"
    waitUntil(lambda: panel.ui.stageLabel.text.startswith("MAD-AD: "))
    waitUntil(lambda: panel.ui.compareButton.checked)
    assert [row[:2] for row in cells(panel)[:2]] == [["REFLECT", "2"], ["MAD-AD", "1"]]
    assert cells(panel)[1][2] == cells(panel)[2][2]  # the bright ball is marked by both
    assert len(results()) == 2


def test_both_methods_are_run_in_one_go(panel, scan, fake_child):
    assert panel.ui.compareButton.toolTip == "Runs REFLECT and MAD-AD on scan, then shows both beside each other"
    panel.ui.compareButton.click()
    waitUntil(lambda: panel.ui.compareButton.checked)
    assert [row[0] for row in cells(panel)] == ["REFLECT", "MAD-AD", "Marked by both"]
    assert [result.map.GetAttribute("NeuroGen.method") for result in results()] == ["reflect", "mad-ad"]


def test_a_cancelled_method_ends_the_matter(panel, scan, fake_child):
    fake_child.plan(seconds=3.0)
    panel.ui.compareButton.click()
    assert panel.logic.isRunning
    panel.ui.cancelButton.click()
    waitUntil(lambda: panel.ui.compareButton.enabled)
    assert results() == [] and not panel.ui.compareButton.checked
    fake_child.plan()
    applyAndWait(panel)
    waitUntil(lambda: panel.ui.compareButton.enabled)
    assert not panel.logic.isRunning and len(results()) == 1 and not panel.ui.compareButton.checked


# From scripts


def test_a_script_compares_and_shows(panel, two):
    from dataclasses import asdict

    found = panel.logic.compare(*two)
    assert asdict(found) == {
        "first": {"title": "REFLECT", "regions": 2, "ml": pytest.approx(12.0)},
        "second": {"title": "MAD-AD", "regions": 1, "ml": pytest.approx(8.0)},
        "sharedMl": pytest.approx(4.0),
        "dice": pytest.approx(0.4),
        "point": 1.0,
    }
    panel.logic.show(two[0], beside=two[1])
    assert widgets(1)[1].mrmlSliceCompositeNode().GetForegroundVolumeID() == two[1].map.GetID()


def test_a_deleted_part_is_told(panel, two):
    import slicer

    slicer.mrmlScene.RemoveNode(two[1].node("record"))
    panel.ui.compareButton.click()
    assert "was deleted" in panel.ui.compareLabel.text and not panel.ui.compareButton.checked
