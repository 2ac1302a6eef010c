"""The panel with the real command line: the network runs in its child process, and the results come back as nodes."""

import numpy as np
import pytest
from detecting import isolateTemporary, longestAnswer, waitUntil, workFolders


@pytest.fixture
def panel(enter_module, tmp_path, monkeypatch):
    isolateTemporary(tmp_path, monkeypatch)
    return enter_module("NeuroGenAD")


@pytest.mark.slow
def test_the_planted_lesion_of_the_demo_case_is_found(panel, slicer_app):
    """From the demo button to the table, with nothing replaced; the planted place is told by the command line."""
    from NeuroGenADLib.result import allResults

    from neurogen.commands.demo import plant

    waitUntil(lambda: panel.ui.deviceComboBox.count < 3 or panel.ui.deviceLabel.text != "not asked yet")
    panel.ui.demoButton.click()
    waitUntil(lambda: panel.ui.inputSelector.currentNode() is not None, 300)
    panel.ui.applyButton.click()
    stages = set()

    def looked() -> bool:
        stages.add(panel.ui.stageLabel.text)
        return not panel.logic.isRunning

    assert longestAnswer(looked, 1200) < 1.0  # the import of the results is within this
    assert len(stages) >= 5, stages
    assert panel.ui.messageLabel.text == ""
    (result,) = allResults()
    from NeuroGenADLib.lesion_nodes import rowsOf

    rows = rowsOf(result.node("table"))
    assert rows, "nothing was marked"
    import tempfile
    from pathlib import Path

    _, place = plant(Path(tempfile.gettempdir()) / "again" / "scan.nii.gz")
    distances = [np.linalg.norm(np.subtract(row.rasMm, place)) for row in rows]
    assert min(distances) < 10, (place, rows)
    assert result.map.GetAttribute("NeuroGen.weightsSha256") and "research" in _text(result).lower()
    assert workFolders() == set()


@pytest.mark.slow
def test_a_real_scan(panel, shared_data):
    import slicer
    from NeuroGenADLib.result import allResults

    scan = slicer.util.loadVolume(str(shared_data / "adult_t1_1mm" / "sub-04_T1w.nii.gz"))
    before = slicer.util.arrayFromVolume(scan).copy()
    panel.ui.inputSelector.setCurrentNode(scan)
    panel.ui.applyButton.click()
    waitUntil(lambda: not panel.logic.isRunning, 1200)
    assert panel.ui.messageLabel.text == ""
    (result,) = allResults()
    score = slicer.util.arrayFromVolume(result.map)
    assert score.shape == before.shape and np.isfinite(score).all() and np.ptp(score) > 0
    assert not score[before == 0].any() or np.abs(score[before == 0]).mean() < np.abs(score[before > 0]).mean()
    assert np.array_equal(slicer.util.arrayFromVolume(scan), before)


def _text(result) -> str:
    return result.node("report").GetText() + result.map.GetAttribute("NeuroGen.notice")
