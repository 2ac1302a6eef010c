"""Charts from tables: one series a column, in a chart that is shown where there are views."""

from collections.abc import Sequence
from dataclasses import dataclass

import slicer

from NeuroGenLib.layouts import layoutManager
from NeuroGenLib.segmentations import COLORS


@dataclass(frozen=True)
class Series:
    """How a column is drawn: as points, or as a line (dashed when `dashed`), in its own color or the next free one."""

    column: str
    title: str = ""
    points: bool = False
    line: bool = True
    dashed: bool = False
    color: tuple[float, float, float] | None = None
    x: str = ""  # column of the abscissa, where it is not the chart's


def plotTable(
    table,
    x: str,
    series: Sequence[str | Series],
    *,
    title: str,
    xTitle: str = "",
    yTitle: str = "",
    bars: bool = False,
):
    """A new chart node of the columns `series` of a table node over its column `x`; not yet shown.

    With `bars`, x may be a column of names. Raises ValueError for a column that the table lacks.
    """
    wanted = [Series(each) if isinstance(each, str) else each for each in series]
    _checkColumns(table, [x, *(one.column for one in wanted), *(one.x for one in wanted if one.x)])
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", title)
    chart.SetTitle(title)
    chart.SetXAxisTitle(xTitle or x)
    chart.SetYAxisTitle(yTitle)
    for k, one in enumerate(wanted):
        chart.AddAndObservePlotSeriesNodeID(_seriesNode(table, x, one, COLORS[k % len(COLORS)], bars).GetID())
    return chart


def setRange(chart, *, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
    """Fix the range of an axis; None leaves it to the data."""
    chart.SetXAxisRangeAuto(x is None)
    chart.SetYAxisRangeAuto(y is None)
    if x is not None:
        chart.SetXAxisRange(*x)
    if y is not None:
        chart.SetYAxisRange(*y)


def seriesNodes(chart) -> list:
    """The series of a chart, in order."""
    return [chart.GetNthPlotSeriesNode(k) for k in range(chart.GetNumberOfPlotSeriesNodes())]


def chartNodes(chart) -> list:
    """The chart and its series: what belongs into a result folder together."""
    return [chart, *seriesNodes(chart)]


def showChart(chart) -> bool:
    """Show a chart in a layout that has a plot view; return whether there are views."""
    plots = getattr(slicer.modules, "plots", None)
    if layoutManager() is None or plots is None:
        return False
    plots.logic().ShowChartInLayout(chart)
    return True


def _seriesNode(table, x: str, one: Series, color: tuple[float, float, float], bars: bool):
    kind = slicer.vtkMRMLPlotSeriesNode
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", one.title or one.column)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetPlotType(kind.PlotTypeBar if bars else kind.PlotTypeScatter)
    if bars:
        node.SetLabelColumnName(x)
    else:
        node.SetXColumnName(one.x or x)
    node.SetYColumnName(one.column)
    node.SetMarkerStyle(kind.MarkerStyleCircle if one.points else kind.MarkerStyleNone)
    node.SetLineStyle(_lineStyle(one))
    node.SetColor(*(one.color or color))
    return node


def _lineStyle(one: Series) -> int:
    kind = slicer.vtkMRMLPlotSeriesNode
    if not one.line:
        return kind.LineStyleNone
    return kind.LineStyleDash if one.dashed else kind.LineStyleSolid


def _checkColumns(table, names: Sequence[str]) -> None:
    present = [table.GetColumnName(k) for k in range(table.GetNumberOfColumns())]
    absent = [name for name in names if name not in present]
    if absent:
        raise ValueError(f"The table {table.GetName()} has no column {', '.join(absent)}; it has {', '.join(present)}.")
