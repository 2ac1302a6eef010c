"""The panel with the real command line: the network runs in its child process, and the results come back as nodes."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from detecting import longestAnswer, results, waitUntil, workFolders

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def panel(enter_module):
    return enter_module("NeuroGenAD")


@pytest.mark.slow
def test_nothing_is_replaced(panel, slicer_app):
    """From the demo button to the table; on a real scan when there is one, else the demo's lesion is found."""
    import slicer

    panel.ui.demoButton.click()
    waitUntil(lambda: panel.ui.inputSelector.currentNode() is not None, 300)
    scan = panel.ui.inputSelector.currentNode()
    real = _realScan()
    if real is not None:
        scan = slicer.util.loadVolume(str(real))
        panel.ui.inputSelector.setCurrentNode(scan)
    before = slicer.util.arrayFromVolume(scan).copy()
    stages = _apply(panel)
    assert panel.ui.messageLabel.text == ""
    assert len(stages) >= 5, stages
    (result,) = results()
    score = slicer.util.arrayFromVolume(result.map)
    assert score.shape == before.shape and np.isfinite(score).all() and np.ptp(score) > 0
    assert np.array_equal(slicer.util.arrayFromVolume(scan), before)
    assert len(result.map.GetAttribute("NeuroGen.weightsSha256")) == 64
    assert "Research use only" in result.node("report").GetText()
    assert workFolders() == set()
    if real is None:
        _assertFound(result)


def _realScan() -> Path | None:
    folder = Path(os.environ.get("NEUROGEN_SHARED") or REPOSITORY.parent / "shared" / "data")
    scan = folder / "adult_t1_1mm" / "sub-04_T1w.nii.gz"
    return scan if scan.is_file() else None


def _apply(panel) -> set[str]:
    """Click Apply and wait; the stages that were told."""
    stages = set()

    def looked() -> bool:
        stages.add(panel.ui.stageLabel.text)
        return not panel.logic.isRunning

    panel.ui.applyButton.click()
    assert longestAnswer(looked, 1500) < 2.0  # importing the results is within this
    return stages


def _assertFound(result) -> None:
    from NeuroGenADLib.lesion_nodes import rowsOf

    from neurogen.commands.demo import plant

    _, place = plant(Path(tempfile.gettempdir()) / "again" / "scan.nii.gz")
    rows = rowsOf(result.node("table"))
    assert min(np.linalg.norm(np.subtract(row.rasMm, place)) for row in rows) < 10, (place, rows)
