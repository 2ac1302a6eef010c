"""What may go wrong in NeuroGenAD: cancelled, closed, removed, reloaded, refused, declined; nothing may be left."""

import pytest
from detecting import (
    applyAndWait,
    children,
    ownTime,
    results,
    rows,
    sceneNodes,
    waitUntil,
    workFolders,
)


@pytest.fixture
def panel(fake_child, enter_module):
    return enter_module("NeuroGenAD")


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancel_leaves_nothing(panel, scan, fake_child, stubborn):
    fake_child.plan(seconds=60, stubborn=stubborn)
    nodes, processes, folders = sceneNodes(), children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    started = ownTime()
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    waitUntil(lambda: not panel.logic.isRunning)
    assert ownTime() - started < 5
    waitUntil(lambda: children() <= processes)
    assert sceneNodes() == nodes and workFolders() == folders
    assert "Cancelled" in panel.ui.messageLabel.text
    assert panel.ui.applyButton.enabled and results() == []


def test_scene_closed_while_running(panel, scan, fake_child):
    import slicer

    fake_child.plan(seconds=60)
    processes, folders = children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(0)
    waitUntil(lambda: not panel.logic.isRunning)
    waitUntil(lambda: children() <= processes)
    assert workFolders() == folders and results() == []
    assert panel.ui.inputSelector.currentNode() is None
    assert not panel.ui.applyButton.enabled


def test_scan_removed_while_running(panel, scan, fake_child):
    import slicer

    fake_child.plan(seconds=0.5)
    panel.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(scan)
    waitUntil(lambda: not panel.logic.isRunning)
    assert results() == []
    assert "removed" in panel.ui.messageLabel.text


def test_module_loaded_anew_while_running(panel, scan, fake_child):
    import slicer

    fake_child.plan(seconds=60)
    processes, folders = children(), workFolders()
    panel.ui.applyButton.click()
    waitUntil(lambda: panel.ui.progressBar.value > 0)
    panel.onReload()
    fresh = slicer.modules.NeuroGenADWidget
    assert fresh is not panel
    waitUntil(lambda: children() <= processes)
    assert workFolders() == folders
    fake_child.plan()
    applyAndWait(fresh)
    assert len(rows(fresh)) == 2


def test_missing_packages_declined(panel, scan, fake_child, monkeypatch):
    import NeuroGenLib.packages as packages

    monkeypatch.setattr(packages, "missingPackages", lambda: [packages.TORCH])
    panel.ui.applyButton.click()
    assert not panel.logic.isRunning
    assert "PyTorch extension" in panel.ui.messageLabel.text


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "The scan is no head."), (4, "The model is missing."), (5, "Not enough memory."), (1, "Something broke.")],
)
def test_a_failure_is_told_and_leaves_nothing(panel, scan, fake_child, code, said):
    nodes, folders = sceneNodes(), workFolders()
    fake_child.plan(exit=code, error=said)
    applyAndWait(panel)
    assert panel.ui.messageLabel.text == said
    assert not panel.ui.logCollapsibleButton.collapsed and "registration of" in panel.ui.logTextEdit.toPlainText()
    assert sceneNodes() == nodes and workFolders() == folders


def test_results_that_cannot_be_read(panel, scan, fake_child):
    from Testing.host import failures

    nodes = sceneNodes()
    fake_child.plan(damaged=True)
    applyAndWait(panel)
    assert "could not be read" in panel.ui.messageLabel.text
    assert sceneNodes() == nodes
    assert {failure.where for failure in failures.take()} == {"VTK"}  # the reader says so, too


def test_without_a_layout_manager(fake_child, slicer_app, enter_module, scan):
    slicer_app.withoutLayoutManager(True)
    try:
        widget = enter_module("NeuroGenAD")
        applyAndWait(widget)
        assert len(rows(widget)) == 2
    finally:
        slicer_app.withoutLayoutManager(False)


def test_a_model_that_is_not_installed_is_named(panel, scan, fake_child):
    node = panel.logic.getParameterNode()
    node.SetParameter("DetectionSettings.model", '"gone-1"')
    waitUntil(lambda: "gone-1" in panel.ui.missingLabel.text)
    assert not panel.ui.applyButton.enabled


@pytest.mark.parametrize("refused", [True, False])
def test_missing_packages_are_asked_for_at_apply(panel, scan, fake_child, monkeypatch, refused):
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
