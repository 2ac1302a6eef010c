"""The click path of NeuroGenHarmonize: tick scans, Apply, table, comparison, charts, undo, and what may go wrong."""

import json

import numpy as np
import pytest
from detecting import sceneNodes, waitUntil, workFolders


@pytest.fixture
def panel(slicer_app, enter_module, monkeypatch):
    widget = enter_module("NeuroGenHarmonize")
    from NeuroGenHarmonizeLib import inputs_panel

    monkeypatch.setattr(inputs_panel, "siteModels", lambda: {"harmonize-t1-adult": "harmonize-t1-adult 1.0.0"})
    monkeypatch.setattr(inputs_panel, "modelText", lambda model: "Reference: a test.")
    widget._panel.enter()
    return widget


@pytest.fixture
def result(panel):
    """A result without a job, chosen in the panel."""
    from NeuroGenHarmonizeLib.self_test import smallResult

    made = smallResult()
    panel._panel.results.choose(made)
    return made


class FakeJob:
    """A job of `startJob` that writes results of two scans when it is polled."""

    outcome = ("done", 0, "")

    def __init__(self, arguments, outFolder, *, onProgress, onLog, onFinished, workFolder):
        self.arguments, self.outFolder, self.workFolder = arguments, outFolder, workFolder
        self._onProgress, self._onFinished, self._steps = onProgress, onFinished, 0

    def poll(self) -> bool:
        from NeuroGenLib.job import removeWorkFolder
        from NeuroGenLib.outcome import Outcome

        self._steps += 1
        if self._steps < 4:
            self._onProgress(f"adapting: step {5 * self._steps}, {6.0 - self._steps / 10:.3f} bits", 0.8)
            return True
        if self._steps > 4:
            return False
        kind, code, message = FakeJob.outcome
        if kind in ("done", "partial"):
            self._write()
        self._onFinished(Outcome(kind, code, message))
        removeWorkFolder(self.workFolder)
        return False

    def cancel(self) -> None:
        FakeJob.outcome = ("cancelled", 130, "Cancelled. Nothing was changed.")
        self._steps = 3

    def wait(self, timeout=None) -> None:
        while self.poll():
            pass

    def _write(self) -> None:
        import nibabel

        folder = self.outFolder
        folder.mkdir()
        scans = [path for path in self.workFolder.iterdir() if path.suffix == ".nii"]
        names = sorted(path.name.removesuffix(".nii") for path in scans)
        for path in scans:
            image = nibabel.load(path)
            stem = path.name.removesuffix(".nii")
            nibabel.save(nibabel.Nifti1Image(np.sqrt(image.get_fdata(dtype=np.float32)), image.affine),
                         folder / f"{stem}_harmonized.nii.gz")  # fmt: skip
        head = "scan\tbits_before\tbits_after\tbits_reference\tsteps\tstop_reason\tssim_to_input\tnote"
        lines = [head, *(f"{name}\t6.5\t5.4\t5.5\t20\tsource bits\t0.97\t" for name in names)]
        (folder / "harmonization.tsv").write_text("\n".join(lines))
        curve = ["scan\tstep\tbits\tentropy", *(f"{name}\t{s}\t{6 - s / 10}\t" for name in names for s in (0, 5))]
        (folder / "curve.tsv").write_text("\n".join(curve))
        columns = ["level", "reference", *(f"{name}_{when}" for name in names for when in ("before", "after"))]
        rows = ["\t".join(columns), *("\t".join([str(k), *["0.1"] * (len(columns) - 1)]) for k in range(4))]
        (folder / "histograms.tsv").write_text("\n".join(rows))
        (folder / "report.html").write_text("<html></html>")
        model = {"id": "harmonize-t1-adult", "version": "1", "weights_sha256": "0", "licence": "CC0"}
        record = {"model": model, "settings": {}, "finished": "now", "notice": "Research use only.", "warnings": {}}
        (folder / "harmonize.json").write_text(json.dumps(record))


@pytest.fixture
def jobs(panel, monkeypatch):
    """Jobs that need no computation."""
    from NeuroGenLib import node_job, run_panel

    FakeJob.outcome = ("done", 0, "")
    monkeypatch.setattr(node_job, "startJob", FakeJob)
    monkeypatch.setattr(run_panel, "ensurePackages", lambda requester: None)
    return FakeJob


def volumes(count: int = 2) -> list:
    import slicer

    made = []
    for k in range(count):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"scan {k}")
        slicer.util.updateVolumeFromArray(node, np.random.default_rng(k).random((6, 7, 8)).astype(np.float32))
        made.append(node)
    return made


def tick(panel, count: int) -> None:
    import qt
    import slicer

    slicer.app.processEvents()
    for k in range(count):
        panel.ui.volumesList.item(k).setCheckState(qt.Qt.Checked)


def apply(panel) -> None:
    panel.ui.applyButton.click()
    waitUntil(lambda: not panel.logic.isRunning)


def test_without_a_scan_apply_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert "Tick at least one" in panel.ui.missingLabel.text


def test_from_scans_to_harmonized_scans_and_back(panel, jobs):
    import slicer
    from NeuroGenHarmonizeLib.result import Result

    inputs = volumes()
    tick(panel, 2)
    assert panel.ui.applyButton.enabled
    before, folders = sceneNodes(), workFolders()
    apply(panel)
    assert not panel.ui.messageLabel.text
    (result,) = Result.all()
    assert [pair[1].GetName() for pair in result.pairs()] == ["scan 0", "scan 1"]
    for _row, original, harmonized in result.pairs():
        expected = np.sqrt(slicer.util.arrayFromVolume(original))
        assert np.allclose(slicer.util.arrayFromVolume(harmonized), expected, atol=1e-6)
        assert harmonized.GetAttribute("NeuroGen.model") == "harmonize-t1-adult"
    assert panel.ui.scanTable.rowCount == 2 and "2 of 2" in panel.ui.summaryLabel.text
    assert result.node("histogramChart1") is not None and result.node("curveChart") is not None
    assert workFolders() == folders
    assert panel.ui.volumesList.count == len(inputs)
    panel.ui.undoButton.click()
    left = {slicer.mrmlScene.GetNodeByID(one).GetName() for one in sceneNodes() - before}
    assert left <= {"NeuroGenHarmonize"}, left


def test_the_curve_is_live_and_goes_when_the_job_ends(panel, jobs):
    import slicer

    volumes(1)
    tick(panel, 1)
    panel.ui.applyButton.click()
    panel.logic.poll()
    panel.logic.poll()
    curve = panel.logic._job.curve
    assert curve.steps == [5, 10] and slicer.util.getNode("Adaptation") is not None
    waitUntil(lambda: not panel.logic.isRunning)
    assert curve._table is None


def test_cancel_leaves_nothing(panel, jobs):
    volumes(1)
    tick(panel, 1)
    before = sceneNodes()
    panel.ui.applyButton.click()
    panel.ui.cancelButton.click()
    waitUntil(lambda: not panel.logic.isRunning)
    assert sceneNodes() == before and "Cancelled" in panel.ui.messageLabel.text


def test_a_refusal_is_told(panel, jobs):
    volumes(1)
    tick(panel, 1)
    jobs.outcome = ("refused", 3, "This is a t2w scan.")
    apply(panel)
    assert "t2w" in panel.ui.messageLabel.text


@pytest.mark.parametrize("compare", ["harmonized", "input", "fade", "checkerboard"])
def test_comparisons_show_what_they_say(panel, result, compare):
    import slicer

    combo = panel.ui.compareComboBox
    combo.setCurrentIndex(combo.findData(compare))
    _row, before, after = result.pairs()[0]
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    board = result.node("checkerboard")
    shown = {"harmonized": after, "input": before, "fade": before, "checkerboard": board}[compare]
    assert composite.GetBackgroundVolumeID() == shown.GetID()
    assert (composite.GetForegroundVolumeID() == after.GetID()) == (compare == "fade")
    assert panel.ui.fadeSlider.enabled == (compare == "fade")


def test_a_row_leads_to_its_scan(panel, result):
    import slicer

    panel.ui.scanTable.cellClicked.emit(1, 0)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == result.pairs()[1][2].GetID()


def test_settings_live_in_the_parameter_node(panel):
    panel.ui.stepsSpinBox.value = 17
    panel.ui.shadingCheckBox.checked = False
    panel.ui.togetherCheckBox.checked = panel.ui.ownCurveCheckBox.checked = True
    combo = panel.ui.planeComboBox
    combo.setCurrentIndex(combo.findData("mean"))
    settings = panel._panel.inputs.settings()
    assert (settings.mostSteps, settings.shading, settings.plane) == (17, False, "mean")
    assert settings.together and settings.ownCurve


def test_boxes_become_options_of_the_command(panel):
    from pathlib import Path

    from NeuroGenHarmonizeLib.settings import HarmonizeSettings, harmonizeArguments

    def options(**chosen):
        return harmonizeArguments(HarmonizeSettings(**chosen), [Path("a.nii.gz")], Path("out"))

    assert not {"--no-shading", "--together", "--own-curve"} & set(options())
    assert "--no-shading" in options(shading=False)
    assert "--together" in options(together=True) and "--own-curve" in options(ownCurve=True)
    assert "--together" not in options(together=True, adapt="scan")


def test_scans_taken_one_by_one_share_no_curve(panel):
    combo = panel.ui.adaptComboBox
    for choice, shares in (("scan", False), ("none", True), ("site", True)):
        combo.setCurrentIndex(combo.findData(choice))
        assert panel.ui.togetherCheckBox.enabled == shares


def test_the_entropy_rule_asks_for_its_segmenter(panel, tmp_path):
    volumes(1)
    tick(panel, 1)
    combo = panel.ui.stopComboBox
    combo.setCurrentIndex(combo.findData("entropy"))
    assert "TorchScript" in panel.ui.missingLabel.text


def test_the_self_test_passes(slicer_app, enter_module):
    import sys

    enter_module("NeuroGenHarmonize")
    sys.modules["NeuroGenHarmonize"].NeuroGenHarmonizeTest().runTest()
