"""The click path of NeuroGenAD: Apply, progress, results, table, threshold, cancel, and what may go wrong."""

import time
from pathlib import Path

import numpy as np
import pytest
from detecting import (
    BRIGHT_AT,
    DARK_AT,
    FakeChild,
    applyAndWait,
    children,
    isolateTemporary,
    longestAnswer,
    sceneNodes,
    waitUntil,
    workFolders,
    writeScan,
)


@pytest.fixture
def child(slicer_app, tmp_path, monkeypatch):
    """The stand-in of the child process, and a temporary folder of the test's own."""
    isolateTemporary(tmp_path, monkeypatch)
    fake = FakeChild(Path(slicer_app.slicerHome))
    yield fake
    fake.remove()


@pytest.fixture
def panel(child, enter_module):
    return enter_module("NeuroGenAD")


@pytest.fixture
def scan(slicer_app, tmp_path):
    import slicer

    return slicer.util.loadVolume(str(writeScan(tmp_path)))


def results():
    from NeuroGenADLib.result import allResults

    return allResults()


def rows(panel) -> list[list[str]]:
    table = panel.ui.lesionTable
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_without_a_scan_apply_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert "Choose the scan" in panel.ui.missingLabel.text


def test_research_use_only_is_visible(panel):
    import slicer

    labels = [child for child in slicer.util.findChildren(panel.parent) if child.className() == "QLabel"]
    assert any("Research use only" in label.text and not label.isHidden() for label in labels)


def test_from_scan_to_result(panel, scan, child):
    import slicer

    child.plan(seconds=1.5, warnings=["The voxels are large."])
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


def test_everything_is_undone_by_deleting_the_folder(panel, scan, child):
    import slicer

    from NeuroGenLib.nodes import folderOf

    before = sceneNodes()
    applyAndWait(panel)
    folder = folderOf(results()[0].map)
    slicer.mrmlScene.GetSubjectHierarchyNode().RemoveItem(folder, True, True)
    waitUntil(lambda: not panel.ui.lesionTable.enabled)
    left = {slicer.mrmlScene.GetNodeByID(one).GetName() for one in sceneNodes() - before}
    assert left <= {"NeuroGenAD"}, left


def test_a_row_leads_to_its_region(panel, scan, child):
    import slicer

    applyAndWait(panel)
    for row, place in enumerate((BRIGHT_AT, DARK_AT)):
        panel.ui.lesionTable.cellClicked.emit(row, 0)
        for name in ("Red", "Green", "Yellow"):
            matrix = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
            center = np.array([matrix.GetElement(axis, 3) for axis in range(3)])
            assert np.allclose(center, place, atol=1.0), (name, center, place)


def test_the_threshold_cuts_again_at_once(panel, scan, child):
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


def test_cutting_again_takes_no_longer_than_a_glance(panel, scan, child):
    applyAndWait(panel)
    started = time.process_time()
    panel.ui.thresholdSlider.value = 3.0
    waitUntil(lambda: "Chosen by you" in panel.ui.operatingPointLabel.text)
    assert time.process_time() - started < 1.0


def test_the_panel_answers_while_a_job_runs(panel, scan, child):
    child.plan(seconds=2.0)
    panel.ui.applyButton.click()
    assert longestAnswer(lambda: panel.ui.progressBar.value > 60) < 0.2
    panel.ui.cancelButton.click()
    waitUntil(lambda: not panel.logic.isRunning)


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancel_leaves_nothing(panel, scan, child, stubborn):
    child.plan(seconds=60, stubborn=stubborn)
    nodes, processes, folders = sceneNodes(), children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    started = time.monotonic()
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    waitUntil(lambda: not panel.logic.isRunning)
    assert time.monotonic() - started < 5
    waitUntil(lambda: children() <= processes)
    assert sceneNodes() == nodes and workFolders() == folders
    assert "Cancelled" in panel.ui.messageLabel.text
    assert panel.ui.applyButton.enabled and results() == []


def test_apply_twice_gives_two_results(panel, scan, child):
    applyAndWait(panel)
    applyAndWait(panel)
    first, second = results()
    assert first.map.GetID() != second.map.GetID()
    assert panel.ui.resultComboBox.count == 2
    panel.ui.deleteResultButton.click()
    assert [result.map.GetID() for result in results()] == [first.map.GetID()]


def test_two_volumes_each_keep_their_result(panel, child, tmp_path):
    import slicer

    scans = [slicer.util.loadVolume(str(writeScan(tmp_path, kind, kind))) for kind in ("ras", "las")]
    for scan in scans:
        panel.ui.inputSelector.setCurrentNode(scan)
        applyAndWait(panel)
    assert [result.input.GetID() for result in results()] == [scan.GetID() for scan in scans]
    panel.ui.resultComboBox.setCurrentIndex(0)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == scans[0].GetID()


def test_scene_closed_while_running(panel, scan, child):
    import slicer

    child.plan(seconds=60)
    processes, folders = children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(0)
    waitUntil(lambda: not panel.logic.isRunning)
    waitUntil(lambda: children() <= processes)
    assert workFolders() == folders and results() == []
    assert panel.ui.inputSelector.currentNode() is None
    assert not panel.ui.applyButton.enabled


def test_scan_removed_while_running(panel, scan, child):
    import slicer

    child.plan(seconds=0.5)
    panel.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(scan)
    waitUntil(lambda: not panel.logic.isRunning)
    assert results() == []
    assert "removed" in panel.ui.messageLabel.text


def test_module_loaded_anew_while_running(panel, scan, child):
    import slicer

    child.plan(seconds=60)
    processes, folders = children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    panel.onReload()
    fresh = slicer.modules.NeuroGenADWidget
    assert fresh is not panel
    waitUntil(lambda: children() <= processes)
    assert workFolders() == folders
    child.plan()
    applyAndWait(fresh)
    assert len(rows(fresh)) == 2


def test_missing_packages_declined(panel, scan, child, monkeypatch):
    import NeuroGenLib.packages as packages

    monkeypatch.setattr(packages, "missingPackages", lambda: [packages.TORCH])
    panel.ui.applyButton.click()
    assert not panel.logic.isRunning
    assert "PyTorch extension" in panel.ui.messageLabel.text


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "The scan is no head."), (4, "The model is missing."), (5, "Not enough memory."), (1, "Something broke.")],
)
def test_a_failure_is_told_and_leaves_nothing(panel, scan, child, code, said):
    nodes, folders = sceneNodes(), workFolders()
    child.plan(exit=code, error=said)
    applyAndWait(panel)
    assert panel.ui.messageLabel.text == said
    assert not panel.ui.logCollapsibleButton.collapsed and "registration of" in panel.ui.logTextEdit.toPlainText()
    assert sceneNodes() == nodes and workFolders() == folders


def test_results_that_cannot_be_read(panel, scan, child):
    from Testing.host import failures

    nodes = sceneNodes()
    child.plan(damaged=True)
    applyAndWait(panel)
    assert "could not be read" in panel.ui.messageLabel.text
    assert sceneNodes() == nodes
    assert {failure.where for failure in failures.take()} == {"VTK"}  # the reader says so, too


def test_saved_scene_comes_back(panel, scan, child, tmp_path):
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


def test_side_by_side(panel, scan, child):
    import slicer

    applyAndWait(panel)
    panel.ui.sideBySideButton.click()
    (result,) = results()
    manager = slicer.app.layoutManager()
    shown = [widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() for widget in manager.shownViews()]
    assert shown == [scan.GetID(), result.node("pseudoHealthy").GetID(), scan.GetID()]
    panel.ui.sideBySideButton.click()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_without_a_layout_manager(child, slicer_app, enter_module, scan):
    slicer_app.withoutLayoutManager(True)
    try:
        widget = enter_module("NeuroGenAD")
        applyAndWait(widget)
        assert len(rows(widget)) == 2
    finally:
        slicer_app.withoutLayoutManager(False)


def test_demo_case(panel, child, tmp_path):
    child.plan(demo=str(writeScan(tmp_path)))
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


def test_the_modules_own_test(panel, child):
    import sys

    sys.modules["NeuroGenAD"].NeuroGenADTest().runTest()


def test_a_model_that_is_not_installed_is_named(panel, scan, child):
    node = panel.logic.getParameterNode()
    node.SetParameter("DetectionSettings.model", '"gone-1"')
    waitUntil(lambda: "gone-1" in panel.ui.missingLabel.text)
    assert not panel.ui.applyButton.enabled


@pytest.mark.parametrize("refused", [True, False])
def test_missing_packages_are_asked_for_at_apply(panel, scan, child, monkeypatch, refused):
    import NeuroGenLib.packages as packages
    from Testing.host import extras

    asked = extras.packages.requests
    asked.clear()
    missing = ["monai>=1.5.1,<1.7"]
    monkeypatch.setattr(packages, "missingPackages", lambda: [] if asked and not refused else missing)
    monkeypatch.setattr(extras.packages, "refused", refused)
    panel.ui.applyButton.click()
    ((requirements, options),) = asked
    assert [str(one) for one in requirements] == ["monai<1.7,>=1.5.1"] and "constraints" in options
    assert panel.logic.isRunning is not refused
    assert not refused or "monai" in panel.ui.messageLabel.text
    waitUntil(lambda: not panel.logic.isRunning)
