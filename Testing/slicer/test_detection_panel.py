"""The click path of NeuroGenAD: Apply, progress, results, table, threshold, views, saved scenes."""

import time
from pathlib import Path

import numpy as np
import pytest
from detecting import (
    BRIGHT_AT,
    DARK_AT,
    applyAndWait,
    children,
    longestAnswer,
    results,
    rows,
    sceneNodes,
    waitUntil,
    workFolders,
    writeScan,
)


@pytest.fixture
def panel(fake_child, enter_module):
    return enter_module("NeuroGenAD")


def test_without_a_scan_apply_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert "Choose the scan" in panel.ui.missingLabel.text


def test_research_use_only_is_visible(panel):
    import slicer

    labels = [fake_child for fake_child in slicer.util.findChildren(panel.parent) if fake_child.className() == "QLabel"]
    assert any("Research use only" in label.text and not label.isHidden() for label in labels)


def test_from_scan_to_result(panel, scan, fake_child):
    import slicer

    fake_child.plan(seconds=1.5, warnings=["The voxels are large."])
    seen = set()
    before = workFolders()
    panel.ui.inputSelector.setCurrentNode(scan)
    panel.ui.applyButton.click()
    assert panel.ui.cancelButton.enabled and not panel.ui.applyButton.enabled

    def looked() -> bool:
        seen.add((panel.ui.stageLabel.text, panel.ui.progressBar.value))
        return not panel.logic.isRunning

    waitUntil(looked)
    assert len({stage for stage, _ in seen}) >= 4, seen
    assert len({value for _, value in seen}) >= 4, seen
    (result,) = results()
    first, second = rows(panel)
    assert "brighter" in first and "darker" in second
    assert result.node("lesions").GetSegmentation().GetNumberOfSegments() == 2
    assert "Caution: The voxels are large." in panel.ui.warningsLabel.text
    assert "3.70" in panel.ui.operatingPointLabel.text
    assert result.map.GetAttribute("NeuroGen.model") == "adult-reflect"
    assert workFolders() == before
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == scan.GetID()
    assert composite.GetForegroundVolumeID() == result.map.GetID()


def test_everything_is_undone_by_deleting_the_folder(panel, scan, fake_child):
    import slicer

    from NeuroGenLib.nodes import folderOf

    before = sceneNodes()
    applyAndWait(panel)
    folder = folderOf(results()[0].map)
    slicer.mrmlScene.GetSubjectHierarchyNode().RemoveItem(folder, True, True)
    waitUntil(lambda: not panel.ui.lesionTable.enabled)
    left = {slicer.mrmlScene.GetNodeByID(one).GetName() for one in sceneNodes() - before}
    assert left <= {"NeuroGenAD"}, left


def test_a_row_leads_to_its_region(panel, scan, fake_child):
    import slicer

    applyAndWait(panel)
    for row, place in enumerate((BRIGHT_AT, DARK_AT)):
        panel.ui.lesionTable.cellClicked.emit(row, 0)
        for name in ("Red", "Green", "Yellow"):
            matrix = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
            center = np.array([matrix.GetElement(axis, 3) for axis in range(3)])
            assert np.allclose(center, place, atol=1.0), (name, center, place)


def test_the_threshold_cuts_again_at_once(panel, scan, fake_child):
    applyAndWait(panel)
    running = children()
    panel.ui.thresholdSlider.value = 7.0  # above every score of the map
    waitUntil(lambda: not rows(panel))
    assert "does not mean that the brain is healthy" in panel.ui.summaryLabel.text
    assert "Chosen by you" in panel.ui.operatingPointLabel.text
    panel.ui.defaultThresholdButton.click()
    waitUntil(lambda: len(rows(panel)) == 2)
    panel.ui.directionComboBox.setCurrentIndex(panel.ui.directionComboBox.findData("dark"))
    waitUntil(lambda: len(rows(panel)) == 1)
    assert results()[0].node("lesions").GetSegmentation().GetNumberOfSegments() == 1
    assert children() == running


def test_cutting_again_takes_no_longer_than_a_glance(panel, scan, fake_child):
    applyAndWait(panel)
    started = time.process_time()
    panel.ui.thresholdSlider.value = 3.0
    waitUntil(lambda: "Chosen by you" in panel.ui.operatingPointLabel.text)
    assert time.process_time() - started < 1.0


def test_the_panel_answers_while_a_job_runs(panel, scan, fake_child):
    fake_child.plan(seconds=2.0)
    panel.ui.applyButton.click()
    assert longestAnswer(lambda: panel.ui.progressBar.value > 60) < 0.2
    panel.ui.cancelButton.click()
    waitUntil(lambda: not panel.logic.isRunning)


def test_apply_twice_gives_two_results(panel, scan, fake_child):
    applyAndWait(panel)
    applyAndWait(panel)
    first, second = results()
    assert first.map.GetID() != second.map.GetID()
    assert panel.ui.resultComboBox.count == 2
    panel.ui.deleteResultButton.click()
    assert [result.map.GetID() for result in results()] == [first.map.GetID()]


def test_two_volumes_each_keep_their_result(panel, fake_child, tmp_path):
    import slicer

    scans = [slicer.util.loadVolume(str(writeScan(tmp_path, kind, kind))) for kind in ("ras", "las")]
    for scan in scans:
        panel.ui.inputSelector.setCurrentNode(scan)
        applyAndWait(panel)
    assert [result.input.GetID() for result in results()] == [scan.GetID() for scan in scans]
    panel.ui.resultComboBox.setCurrentIndex(0)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == scans[0].GetID()


def test_saved_scene_comes_back(panel, scan, fake_child, tmp_path):
    import slicer

    applyAndWait(panel)
    panel.ui.thresholdSlider.value = 5.0
    waitUntil(lambda: "Chosen by you" in panel.ui.operatingPointLabel.text)
    panel.ui.opacitySlider.value = 0.4
    panel.ui.showHealthyButton.click()
    path = tmp_path / "saved.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    waitUntil(lambda: len(rows(panel)) == 2)
    (result,) = results()
    assert panel.ui.thresholdSlider.value == pytest.approx(5.0)
    assert panel.ui.opacitySlider.value == pytest.approx(0.4)
    assert panel.ui.showHealthyButton.checked
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == result.map.GetID()
    assert composite.GetBackgroundVolumeID() == result.node("pseudoHealthy").GetID()
    assert result.node("lesions").GetSegmentation().GetNumberOfSegments() == 2
    panel.ui.defaultThresholdButton.click()  # the map can still be cut
    waitUntil(lambda: "3.70" in panel.ui.operatingPointLabel.text)


def test_side_by_side(panel, scan, fake_child):
    import slicer

    applyAndWait(panel)
    panel.ui.sideBySideButton.click()
    (result,) = results()
    manager = slicer.app.layoutManager()
    shown = [widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() for widget in manager.shownViews()]
    assert shown == [scan.GetID(), result.node("pseudoHealthy").GetID(), scan.GetID()]
    assert all(widget.mrmlSliceCompositeNode().GetLinkedControl() for widget in manager.shownViews())
    panel.ui.sideBySideButton.click()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_demo_case(panel, fake_child, tmp_path):
    fake_child.plan(demo=str(writeScan(tmp_path)))
    panel.ui.demoButton.click()
    waitUntil(lambda: panel.ui.inputSelector.currentNode() is not None)
    assert panel.ui.applyButton.enabled


def test_sample_data_is_registered(panel, slicer_app):
    from Testing.host import extras

    extras.samples.clear()
    slicer_app.startupCompleted.emit()
    assert {sample.category for sample in extras.samples} == {"NeuroGen"}
    for sample in extras.samples:
        assert Path(sample.values["thumbnailFileName"]).is_file()


def test_the_modules_own_test(panel, fake_child):
    import sys

    sys.modules["NeuroGenAD"].NeuroGenADTest().runTest()
