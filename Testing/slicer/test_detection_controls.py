"""What the controls of NeuroGenAD do, one by one: mask, model, device, views, export, models, diagnostics."""

from pathlib import Path

import numpy as np
import pytest
from detecting import applyAndWait, longestAnswer, ownTime, results, waitUntil
from dicom_builders import points_of_segments, series


@pytest.fixture
def panel(fake_child, enter_module):
    return enter_module("NeuroGenAD")


@pytest.fixture
def result(panel, scan):
    """A result without a job, chosen in the panel."""
    from NeuroGenADLib.self_test import twoLesions

    made = twoLesions()
    panel.logic.recut(made, made.record.defaultCut)
    panel._panel.results.choose(made)
    return made


def composite(name: str = "Red"):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def commandOf(panel) -> list[str]:
    """The command line of the job that runs."""
    return panel.logic._job._job.worker.command


def test_the_command_line_gets_what_the_panel_shows(panel, scan, fake_child):
    import slicer

    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    slicer.util.updateVolumeFromArray(mask, np.ones_like(slicer.util.arrayFromVolume(scan), np.int16))
    mask.CopyOrientation(scan)
    fake_child.plan(seconds=1.0)
    ui = panel.ui
    ui.maskSelector.setCurrentNode(mask)
    ui.methodComboBox.setCurrentIndex(ui.methodComboBox.findData("gaussian"))
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("cpu"))
    ui.registeredCheckBox.checked = True
    ui.biasCorrectionCheckBox.checked = False
    ui.batchSizeSpinBox.value = 3
    ui.applyButton.click()
    words = commandOf(panel)
    assert words[words.index("--model") + 1] == ui.modelComboBox.currentText.split()[0] == "adult-gaussian"
    assert words[words.index("--device") + 1] == "cpu" and words[words.index("--batch-size") + 1] == "3"
    assert Path(words[words.index("--mask") + 1]).is_file()
    assert "--registered" in words and "--no-bias-correction" in words
    waitUntil(lambda: not panel.logic.isRunning)


def test_the_device_has_its_reason(panel):
    waitUntil(lambda: panel.ui.deviceLabel.text)
    assert "no graphics card" in panel.ui.deviceLabel.text
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("cpu"))
    assert "2 processor threads" in panel.ui.deviceLabel.text
    assert panel.ui.deviceComboBox.findData("cuda") < 0


def test_a_device_of_another_machine_is_shown_with_the_reason_against_it(panel):
    waitUntil(lambda: panel.ui.deviceLabel.text)
    panel.logic.getParameterNode().SetParameter("DetectionSettings.device", '"cuda"')
    assert panel.ui.deviceComboBox.currentText == "Graphics card"
    assert "no graphics card" in panel.ui.deviceLabel.text


def test_one_click_changes_the_volume_below(panel, result):
    ui = panel.ui
    for button, role in ((ui.showDifferenceButton, "difference"), (ui.showHealthyButton, "pseudoHealthy")):
        node = result.input.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", role)
        result.keep(role, node)
        button.click()
        assert composite().GetBackgroundVolumeID() == node.GetID()
    ui.showInputButton.click()
    assert composite().GetBackgroundVolumeID() == result.input.GetID()


def test_opacity_overlay_and_outlines_reach_the_views(panel, result):
    ui = panel.ui
    ui.opacitySlider.value = 0.25
    assert composite().GetForegroundOpacity() == pytest.approx(0.25)
    ui.overlayCheckBox.checked = False
    assert composite().GetForegroundVolumeID() is None
    ui.overlayCheckBox.checked = True
    assert composite().GetForegroundVolumeID() == result.map.GetID()
    shown = result.node("lesions").GetDisplayNode()
    ui.outlinesCheckBox.checked = False
    assert not shown.GetVisibility2DOutline()
    ui.outlinesCheckBox.checked = True
    assert shown.GetVisibility() and shown.GetVisibility2DOutline() and not shown.GetVisibility2DFill()


def test_export_writes_the_chosen_kinds(panel, result, tmp_path):
    ui, folder = panel.ui, tmp_path / "out"
    result.keepText("report", "report", _report(tmp_path))
    ui.exportFolderButton.directory = str(folder)
    assert not ui.exportDicomCheckBox.enabled and "DICOM" in ui.exportDicomCheckBox.toolTip
    ui.exportButton.click()
    names = {path.name for path in folder.iterdir()}
    assert names == {"scan_anomaly_map.nii.gz", "scan_regions.nii.gz", "scan_regions.csv", "scan_report.html"}
    assert all(name in ui.exportMessageLabel.text for name in names)
    for box in (ui.exportNiftiCheckBox, ui.exportCsvCheckBox, ui.exportHtmlCheckBox):
        box.checked = False
    ui.exportButton.click()
    assert "Choose at least one" in ui.exportMessageLabel.text


def test_an_export_that_cannot_be_written_says_why(panel, result, tmp_path):
    (tmp_path / "a file").write_text("no folder")
    panel.ui.exportFolderButton.directory = str(tmp_path / "a file")
    panel.ui.exportButton.click()
    assert "Not exported" in panel.ui.exportMessageLabel.text


def _report(folder: Path) -> Path:
    (folder / "report.html").write_text("<html><header>Research use only.</header></html>")
    return folder / "report.html"


@pytest.fixture
def dicomScan(slicer_app, tmp_path, monkeypatch):
    """A scan as if loaded from a DICOM series, and its affine; a block of it is brighter than any tissue."""
    import slicer

    pytest.importorskip("highdicom", minversion="0.27")
    files, ras = series(tmp_path, (1, 0, 0, 0, 1, 0))

    class Database:
        isOpen = True

        def fileForInstance(self, uid):
            return files[int(uid)]

        def fileValue(self, path, tag):
            return ""

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    voxels = np.ones((6, 10, 12), np.float32)
    voxels[1:5, 2:8, 3:9] = 3.0
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=ras, name="from DICOM")
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(k) for k in range(len(files))))
    return node, ras, np.argwhere(voxels > 2)


def test_dicom_seg_is_written_by_a_click_while_the_panel_answers(panel, dicomScan, tmp_path):
    node, ras, marked = dicomScan
    panel.ui.inputSelector.setCurrentNode(node)
    applyAndWait(panel)
    ui, folder = panel.ui, tmp_path / "out"
    for box in (ui.exportNiftiCheckBox, ui.exportCsvCheckBox, ui.exportHtmlCheckBox):
        box.checked = False
    assert ui.exportDicomCheckBox.enabled, ui.exportDicomCheckBox.toolTip
    ui.exportDicomCheckBox.checked = True
    ui.exportFolderButton.directory = str(folder)
    started = ownTime()
    ui.exportButton.click()
    assert ownTime() - started < 0.5 and not ui.exportButton.enabled and "Writing" in ui.exportMessageLabel.text
    assert longestAnswer(lambda: ui.exportButton.enabled, 120) < 0.2
    assert ui.exportMessageLabel.text == "Written: from_DICOM_regions.dcm"
    ((name, points),) = points_of_segments(folder / "from_DICOM_regions.dcm").items()
    assert "brighter" in name
    expected = (ras @ np.column_stack([marked[:, ::-1], np.ones(len(marked))]).T).T[:, :3]
    assert {tuple(p) for p in np.round(points, 2) + 0.0} == {tuple(p) for p in np.round(expected, 2) + 0.0}


def test_dicom_seg_that_fails_is_told(panel, dicomScan, tmp_path, monkeypatch):
    import slicer

    panel.ui.inputSelector.setCurrentNode(dicomScan[0])
    applyAndWait(panel)
    panel.ui.exportDicomCheckBox.checked = True
    panel.ui.exportFolderButton.directory = str(tmp_path / "out")
    broken = tmp_path / "broken.dcm"
    broken.write_text("no image")
    monkeypatch.setattr(slicer.dicomDatabase, "fileForInstance", lambda uid: str(broken))
    panel.ui.exportButton.click()
    waitUntil(lambda: panel.ui.exportButton.enabled, 120)
    assert "Not exported" in panel.ui.exportMessageLabel.text


def test_the_models_are_listed_when_their_section_is_opened(panel):
    panel.ui.modelsCollapsibleButton.collapsed = False
    listed = panel._panel._modelsPanel
    assert {"adult-reflect", "brain-mask"} <= {row.id for row in listed.rows}


def test_diagnostics_are_shown_and_copied(panel, slicer_app):
    waitUntil(lambda: panel.ui.deviceLabel.text)
    panel.ui.diagnosticsButton.click()
    text = panel.ui.logTextEdit.toPlainText()
    assert "NeuroGen 0" in text and "no graphics card" in text and "adult-reflect" in text
    assert slicer_app.clipboard().text().strip() == text.strip()
    assert "Copied" in panel.ui.messageLabel.text


def test_regions_and_the_outline_of_the_brain_are_shown_in_3d(panel, scan, fake_child):
    import slicer

    from NeuroGenLib.nodes import segmentIds

    fake_child.plan(brain=True)
    applyAndWait(panel)
    (result,) = results()
    lesions, brain = result.node("lesions"), result.node("brain")
    waitUntil(lambda: lesions.GetDisplayNode().GetVisibility3D())
    segments = lesions.GetSegmentation()
    for segmentId in segmentIds(lesions):
        assert segments.GetSegment(segmentId).GetRepresentation("Closed surface").GetNumberOfPoints() > 100
    head, regions = [0.0] * 6, [0.0] * 6
    brain.GetRASBounds(head)
    lesions.GetRASBounds(regions)
    assert all(head[k] < regions[k] and regions[k + 1] < head[k + 1] for k in (0, 2, 4))
    assert slicer.app.layoutManager().threeDWidget(0) is not None
    panel.ui.thresholdSlider.value = 5.0  # surfaces follow the cut
    waitUntil(lambda: "Chosen by you" in panel.ui.operatingPointLabel.text)
    waitUntil(lambda: segments.ContainsRepresentation("Closed surface"))
    panel.ui.show3DCheckBox.checked = False
    assert not lesions.GetDisplayNode().GetVisibility3D() and not brain.GetDisplayNode().GetVisibility3D()
    assert lesions.GetDisplayNode().GetVisibility2DOutline()


def test_the_outline_lies_on_the_brain(slicer_app):
    """A ball of 60 mm on an oblique, anisotropic grid: its surface lies there within half a cell."""
    import slicer
    from NeuroGenADLib.brain_surface import CELL_MM, brainModel
    from scipy.spatial.transform import Rotation
    from vtk.util.numpy_support import vtk_to_numpy

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (20, -15, 35), degrees=True).as_matrix() * (1.0, 2.5, 4.0)
    affine[:3, 3] = (-70, -80, -60)
    shape, center = (150, 60, 40), (affine @ [75, 30, 20, 1])[:3]
    world = affine[:3, :3] @ np.indices(shape).reshape(3, -1) + affine[:3, 3:]
    ball = np.linalg.norm(world - center[:, None], axis=0).reshape(shape) < 60
    node = slicer.util.addVolumeFromArray(ball.astype(np.float32).T.copy(), ijkToRAS=affine)
    points = vtk_to_numpy(brainModel(node, "brain").GetPolyData().GetPoints().GetData())
    radius = np.linalg.norm(points - center, axis=1)
    assert abs(radius.mean() - 60) < CELL_MM / 2 and radius.std() < CELL_MM / 2
    small = slicer.util.addVolumeFromArray((ball.T * (np.indices(ball.T.shape)[0] == 20)).astype(np.float32))
    assert brainModel(small, "slab") is None


def test_a_new_result_is_in_the_middle_of_the_3d_view(rendering, panel, scan, fake_child):
    import slicer

    fake_child.plan(brain=True)
    applyAndWait(panel)
    lesions = results()[0].node("lesions")
    waitUntil(lambda: lesions.GetDisplayNode().GetVisibility3D())
    picture = slicer.app.layoutManager().threeDWidget(0).picture().astype(int)
    warm = np.argwhere(picture[..., 0] - picture[..., 2] > 40)
    rows, columns, _ = picture.shape
    assert len(warm) > 20, "the bright region is seen"
    assert (np.abs(warm.mean(axis=0) / (rows, columns) - 0.5) < 0.3).all()


def test_a_clicked_region_flashes_and_stays(panel, result):
    from NeuroGenLib.nodes import segmentOfLabel

    lesions = result.node("lesions")
    shown, segmentId = lesions.GetDisplayNode(), segmentOfLabel(lesions, 1)
    panel.ui.lesionTable.cellClicked.emit(0, 0)
    changes = []

    def ended() -> bool:
        visible = bool(shown.GetSegmentVisibility(segmentId))
        if not changes or changes[-1] != visible:
            changes.append(visible)
        return len(changes) >= 6 and visible

    waitUntil(ended)
    assert changes[-6:] == [False, True] * 3
