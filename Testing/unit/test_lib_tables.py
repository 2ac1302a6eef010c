"""Table and chart nodes: every value comes back, charts draw the columns they name."""

import pytest

pytest.importorskip("slicer")

from NeuroGenLib import nodes, plots, tables
from NeuroGenLib.plots import Series

COLUMNS = {
    "label": [1, 2, 12],
    "volume_ml": [0.25, 3.5, 1e-3],
    "side": ["left", "right", "—"],
    "mixed": [1, "two", 3.0],
}


def test_every_value_comes_back_with_its_type(bare_scene):
    node = tables.tableNode("Lesions", COLUMNS, descriptions={"volume_ml": "volume in milliliters", "gone": "x"})
    found = tables.columnsOf(node)
    assert found == {**COLUMNS, "mixed": ["1", "two", "3.0"]}
    assert [type(values[0]) for values in found.values()] == [int, float, str, str]
    assert node.GetColumnDescription("volume_ml") == "volume in milliliters"
    assert tables.rowOf(node, 1) == {"label": 2, "volume_ml": 3.5, "side": "right", "mixed": "two"}


def test_a_table_is_replaced_whole(bare_scene):
    node = tables.tableNode("Lesions", COLUMNS)
    tables.setColumns(node, {"only": []})
    assert tables.columnsOf(node) == {"only": []}
    with pytest.raises(ValueError, match="Lesions are not equally long"):
        tables.setColumns(node, {"a": [1], "b": [1, 2]})


def test_a_result_file_becomes_a_table(bare_scene, tmp_path):
    """The file of `neurogen detect`, with its own columns and the place of a region that has no name."""
    from neurogen.anomaly.lesions import Lesion
    from neurogen.detection_files import COLUMNS as FILE_COLUMNS
    from neurogen.detection_files import write_lesions

    lesions = (
        Lesion(1, 2.5, (10.0, -20.5, 30.25), 9.5, 5.25, "brighter", "right", "Thalamus"),
        Lesion(2, 0.125, (-1.0, 2.0, 3.0), 6.0, 4.5, "darker", "left", ""),
    )
    write_lesions(tmp_path / "lesions.tsv", lesions)
    columns = tables.readTsv(tmp_path / "lesions.tsv")
    assert list(columns) == list(FILE_COLUMNS)
    assert columns["label"] == [1, 2]
    assert columns["y_mm"] == [-20.5, 2.0]
    assert columns["region"] == ["Thalamus", ""]
    assert tables.columnsOf(tables.tableNode("Lesions", columns)) == columns


def test_a_chart_draws_the_columns_that_it_names(bare_scene):
    table = tables.tableNode(
        "growth", {"age": [30.0, 40.0], "median": [1.0, 2.0], "own": [1.5, 1.6], "at": [35.0, 36.0]}
    )
    series = ["median", Series("own", title="This scan", points=True, line=False, color=(1.0, 0.0, 0.0), x="at")]
    chart = plots.plotTable(table, "age", series, title="Volume", xTitle="weeks", yTitle="ml")
    line, points = plots.seriesNodes(chart)
    assert (line.GetXColumnName(), line.GetYColumnName()) == ("age", "median")
    assert (points.GetXColumnName(), points.GetYColumnName(), points.GetName()) == ("at", "own", "This scan")
    assert points.GetTableNode() is table
    assert points.GetLineStyle() == points.LineStyleNone
    assert points.GetColor() == (1.0, 0.0, 0.0)
    assert (chart.GetXAxisTitle(), chart.GetYAxisTitle()) == ("weeks", "ml")
    plots.setRange(chart, x=(28.0, 46.0))
    assert chart.GetXAxisRange() == (28.0, 46.0)
    assert chart.GetYAxisRangeAuto()
    assert plots.showChart(chart) is False


def test_bars_have_names(bare_scene):
    table = tables.tableNode("importance", {"region": ["a", "b"], "weeks": [0.3, 0.1]})
    (bars,) = plots.seriesNodes(plots.plotTable(table, "region", ["weeks"], title="Importance", bars=True))
    assert bars.GetPlotType() == bars.PlotTypeBar
    assert bars.GetLabelColumnName() == "region"


def test_a_column_that_is_not_there_is_named(bare_scene):
    table = tables.tableNode("growth", {"age": [1.0]})
    with pytest.raises(ValueError, match="growth has no column volume; it has age"):
        plots.plotTable(table, "age", ["volume"], title="x")
    assert bare_scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0


def test_a_chart_goes_with_its_result(bare_scene):
    folder = nodes.resultFolder(None, "result")
    table = tables.tableNode("growth", {"age": [1.0], "ml": [2.0]})
    chart = plots.plotTable(table, "age", ["ml"], title="x")
    for node in (table, *plots.chartNodes(chart)):
        nodes.addToFolder(folder, node)
    nodes.removeFolder(folder)
    for kind in ("Table", "PlotChart", "PlotSeries"):
        assert bare_scene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node") == 0
