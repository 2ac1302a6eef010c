"""The click path of NeonatalBrainAge: Apply, table, colors, charts, export, and what may go wrong on the way."""

import json
from pathlib import Path

import numpy as np
import pytest
from aging import InProcess, slicer_labels
from detecting import sceneNodes, waitUntil, workFolders


@pytest.fixture
def panel(slicer_app, enter_module, monkeypatch):
    widget = enter_module("NeonatalBrainAge")
    InProcess.install(monkeypatch)
    return widget


@pytest.fixture
def result(panel):
    """A result without a job, chosen in the panel."""
    from NeonatalBrainAgeLib.self_test import smallResult

    made = smallResult()
    panel._panel.results.choose(made)
    return made


def apply(panel) -> None:
    panel.ui.applyButton.click()
    waitUntil(lambda: not panel.logic.isRunning)


def test_without_an_input_apply_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert "87 regions" in panel.ui.missingLabel.text


def test_from_label_map_to_age_and_back(panel, tmp_path):
    import slicer
    from NeonatalBrainAgeLib.result import Result

    labels = slicer_labels(tmp_path)
    before, folders = sceneNodes(), workFolders()
    panel.ui.inputSelector.setCurrentNode(labels)
    panel.ui.ageKnownCheckBox.checked = True
    panel.ui.ageSpinBox.value = 40.0
    apply(panel)
    assert not panel.ui.messageLabel.text
    (result,) = Result.all()
    record = result.record.content
    assert record["age_weeks"] == 40.0
    assert f"{record['predicted_weeks']:.1f}" in panel.ui.summaryLabel.text
    assert "Gap" in panel.ui.gapLabel.text and "Caution" in panel.ui.warningsLabel.text
    assert panel.ui.regionTable.rowCount == 86
    assert result.node("regions").GetSegmentation().GetNumberOfSegments() == 86
    same = slicer.util.arrayFromVolume(result.node("labels")) == slicer.util.arrayFromVolume(labels)
    assert same.all()
    assert workFolders() == folders
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == result.node("colors").GetID()
    panel.ui.deleteResultButton.click()
    waitUntil(lambda: not panel.ui.regionTable.enabled)
    left = {slicer.mrmlScene.GetNodeByID(one).GetName() for one in sceneNodes() - before}
    assert left <= {"NeonatalBrainAge"}, left


def test_a_segmentation_gives_the_age_of_its_label_map(panel, tmp_path):
    import slicer
    from NeonatalBrainAgeLib.result import Result

    labels = slicer_labels(tmp_path)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, segmentation)
    ages = []
    for node in (labels, segmentation):
        panel.ui.inputSelector.setCurrentNode(node)
        apply(panel)
        assert not panel.ui.messageLabel.text
        ages.append(Result.all()[-1].record.content["predicted_weeks"])
    assert ages[0] == pytest.approx(ages[1], abs=1e-9)


def test_a_wrong_map_is_refused_with_the_reason(panel, tmp_path):
    import slicer

    labels = slicer_labels(tmp_path)
    slicer.util.updateVolumeFromArray(labels, (slicer.util.arrayFromVolume(labels) > 0).astype(np.int16))
    before = sceneNodes()
    panel.ui.inputSelector.setCurrentNode(labels)
    apply(panel)
    assert "it is a mask" in panel.ui.messageLabel.text
    assert sceneNodes() - before <= {panel.logic.getParameterNode().GetID()}


def test_segments_without_labels_and_names_are_refused(panel):
    import slicer

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    for name in ("one", "two"):
        segmentation.GetSegmentation().GetSegment(segmentation.GetSegmentation().AddEmptySegment("", name))
    panel.ui.inputSelector.setCurrentNode(segmentation)
    panel.ui.applyButton.click()
    assert not panel.logic.isRunning
    assert panel.ui.messageLabel.text


def test_rows_sort_by_number_and_lead_to_regions(panel, result):
    import slicer
    from NeonatalBrainAgeLib.region_table import COLUMNS

    table = panel._panel.results._table
    for column, values in (("rv_z", sorted), ("svr_z", sorted)):
        panel.ui.regionTable.sortItems(list(COLUMNS).index(column))
        shown = [result.row(label)[column] for label in table.labels()]
        assert shown == values(shown)
    for row in (0, 40):
        label = table.labels()[row]
        panel.ui.regionTable.cellClicked.emit(row, 0)
        matrix = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceToRAS()
        center = np.array([matrix.GetElement(axis, 3) for axis in range(3)])
        voxel = np.linalg.solve(np.diag([1.0, 1, 1, 1]), [*center, 1])[:3].round().astype(int)
        assert slicer.util.arrayFromVolume(result.node("labels"))[tuple(voxel[::-1])] == label


def test_colors_mean_numbers(panel, result):
    import slicer
    from NeonatalBrainAgeLib.coloring import SCALES

    combo = panel.ui.colorComboBox
    for column in ("rv_z", "importance", "svr_z"):
        combo.setCurrentIndex(combo.findData(column))
        lookup = {row["label"]: row[column] for row in result.rows()}
        labels, values = (slicer.util.arrayFromVolume(result.node(name)) for name in ("labels", "colors"))
        for label in (1, 48, 87):
            assert np.allclose(values[labels == label], lookup[label], atol=1e-6)
        shown = result.node("colors").GetDisplayNode()
        assert (shown.GetWindowLevelMin(), shown.GetWindowLevelMax()) == (SCALES[column].low, SCALES[column].high)
        segments = result.node("regions").GetSegmentation()
        for k in range(0, segments.GetNumberOfSegments(), 17):
            segment = segments.GetSegment(segments.GetNthSegmentID(k))
            expected = SCALES[column].rgb(np.array([lookup[segment.GetLabelValue()]]))[0]
            assert np.allclose(segment.GetColor(), expected, atol=1e-6)
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(result.node("colors"))
        assert legend.GetVisibility() and legend.GetTitleText() == SCALES[column].title
        ends, steps = (SCALES[column].low, SCALES[column].high), legend.GetNumberOfLabels()
        named = [legend.GetLabelFormat() % value for value in np.linspace(*ends, steps)]
        assert np.allclose([float(text) for text in named], np.linspace(*ends, steps)), named
    combo.setCurrentIndex(combo.findData("regions"))
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() is None


def test_growth_chart_shows_this_scan(panel, result):
    from NeuroGenLib.plots import seriesNodes
    from NeuroGenLib.tables import columnsOf

    panel.ui.growthButton.click()
    chart, row = result.node("growthChart"), max(result.rows(), key=lambda one: abs(one["svr_z"]))
    assert row["name"] in chart.GetTitle() and "SVR" in chart.GetTitle()
    columns = columnsOf(result.node("growth"))
    assert set(columns["scan age"]) == {40.0} and set(columns["scan"]) == {row["svr"]}
    assert all(low < high for low, high in zip(columns["centile 5"], columns["centile 95"]))
    titles = [node.GetName() for node in seriesNodes(chart)]
    assert any("born preterm, not a norm" in title for title in titles) and "this scan" in titles[-1]
    panel.ui.regionTable.cellClicked.emit(3, 0)
    assert result.row(panel._panel.results._table.labels()[3])["name"] in chart.GetTitle()
    panel.ui.featureComboBox.setCurrentIndex(panel.ui.featureComboBox.findData("rv"))
    assert chart.GetTitle().startswith("RV")


def test_importance_bars(panel, result):
    from NeuroGenLib.tables import columnsOf

    panel.ui.importanceButton.click()
    bars = columnsOf(result.node("importance"))["importance"]
    assert bars == sorted(bars, reverse=True) and bars[0] == 1.0
    panel.ui.importanceButton.click()
    assert result.node("importanceChart") is not None


def test_export_writes_what_is_shown(panel, result, tmp_path):
    panel.ui.exportFolderButton.directory = str(tmp_path / "out")
    panel.ui.exportHtmlCheckBox.checked = False
    panel.ui.exportButton.click()
    names = {path.name.split("_", 1)[1] for path in (tmp_path / "out").iterdir()}
    assert names == {"labels_regions.nii.gz", "labels_regions.csv", "labels_age.json"}
    assert "Written" in panel.ui.exportMessageLabel.text
    panel.ui.exportHtmlCheckBox.checked = True
    panel.ui.exportButton.click()
    assert "was deleted: report" in panel.ui.exportMessageLabel.text


def test_a_saved_scene_brings_the_result_back(panel, result, tmp_path):
    import slicer
    from NeonatalBrainAgeLib.result import Result

    panel.ui.colorComboBox.setCurrentIndex(panel.ui.colorComboBox.findData("importance"))
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert not panel.ui.regionTable.enabled
    slicer.util.loadScene(str(path))
    (back,) = Result.all()
    assert panel.ui.regionTable.rowCount == 86
    assert back.record.content == json.loads(back.node("record").GetText())
    assert panel.ui.colorComboBox.currentText == "importance"


def test_the_self_test_passes(slicer_app, enter_module):
    import sys

    enter_module("NeonatalBrainAge")
    sys.modules["NeonatalBrainAge"].NeonatalBrainAgeTest().runTest()


def test_the_panel_and_the_command_line_offer_the_same():
    from NeonatalBrainAgeLib import settings

    from neurogen.brain_age.growth import STRATA

    assert settings.CHARTS == STRATA
    assert Path(settings.__file__).is_file()
