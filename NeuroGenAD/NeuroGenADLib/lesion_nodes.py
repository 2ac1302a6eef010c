"""Lesions as nodes: a segment and a table row each, both made anew whenever the lesions are cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from neurogen.anomaly.lesions import Lesion, LesionCut
from NeuroGenADLib.result import Result
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import segmentIds, setSegments

# Light, so that the outline stands out from the map, which is full of the same hue.
HUES = {"bright": ((1.00, 0.92, 0.60), (1.00, 0.80, 0.45)), "dark": ((0.70, 0.95, 1.00), (0.55, 0.80, 1.00))}
NUMBERS = ("volume_ml", "x_mm", "y_mm", "z_mm", "peak_score", "mean_score")
WORDS = ("polarity", "side", "region")
DECIMALS = 3


@dataclass(frozen=True)
class Row:
    """One line of the table: the region's number, its numbers by NUMBERS, its words by WORDS."""

    label: int
    numbers: dict[str, float]
    words: dict[str, str]

    @property
    def rasMm(self) -> tuple[float, float, float]:
        """The centroid, RAS mm at the time of the detection."""
        return self.numbers["x_mm"], self.numbers["y_mm"], self.numbers["z_mm"]


def showCut(result: Result, cut: LesionCut) -> None:
    """Replace the segments and the table of a result by these lesions; what the user deleted stays away."""
    segmentation, table = result.node("lesions"), result.node("table")
    if segmentation is not None:
        names = {lesion.label: segmentName(lesion) for lesion in cut.lesions}
        setSegments(segmentation, np.ascontiguousarray(cut.labels.T), names, result.map)
        _paint(segmentation, cut.lesions)
    if table is not None:
        fillTable(table, cut.lesions)


def segmentName(lesion: Lesion) -> str:
    """Number, place and kind: `1 darker, left insula`."""
    kind = _("brighter") if lesion.polarity == "bright" else _("darker")
    place = lesion.region or _(lesion.side)
    return _("{label} {kind}, {place}").format(label=lesion.label, kind=kind, place=place)


def fillTable(tableNode, lesions: Sequence[Lesion]) -> None:
    """One row a lesion, with the columns of `lesions.tsv`."""
    table = vtk.vtkTable()
    for name, kind in _columns():
        column = kind()
        column.SetName(name)
        for lesion in lesions:
            column.InsertNextValue(_cell(lesion, name))
        table.AddColumn(column)
    tableNode.SetAndObserveTable(table)


def rowsOf(tableNode) -> tuple[Row, ...]:
    """The rows of a table that `fillTable` made, also after a scene was loaded."""
    table = tableNode.GetTable()
    if table is None or not table.GetNumberOfColumns() or table.GetColumnByName("label") is None:
        return ()

    def value(row: int, name: str):
        return table.GetValueByName(row, name)

    return tuple(
        Row(
            value(k, "label").ToInt(),
            {name: value(k, name).ToDouble() for name in NUMBERS},
            {name: value(k, name).ToString() for name in WORDS},
        )
        for k in range(table.GetNumberOfRows())
    )


def _columns() -> list[tuple[str, Any]]:
    kinds = [("label", vtk.vtkIntArray)]
    kinds += [(name, vtk.vtkDoubleArray) for name in NUMBERS]
    return kinds + [(name, vtk.vtkStringArray) for name in WORDS]


def _cell(lesion: Lesion, name: str):
    if name[1:] == "_mm":
        return round(float(lesion.centroid_ras_mm["xyz".index(name[0])]), DECIMALS)
    value = getattr(lesion, name)
    return round(float(value), DECIMALS) if name in NUMBERS else value


def _paint(segmentation, lesions: Sequence[Lesion]) -> None:
    """Warm hues for what is brighter than healthy, cool ones for what is darker, like the map."""
    kinds = {lesion.label: lesion.polarity for lesion in lesions}
    segments = segmentation.GetSegmentation()
    for segmentId in segmentIds(segmentation):
        segment = segments.GetSegment(segmentId)
        label = segment.GetLabelValue()
        hues = HUES[kinds[label]]
        segment.SetColor(*hues[label % len(hues)])
