"""One harmonized site in the scene: its table of scans, and references from it to all that belongs to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import addToFolder, folderOf, importVolume, removeFolder, resultFolder, stamp
from NeuroGenLib.plots import Series, chartNodes, plotTable
from NeuroGenLib.scene_result import ROLE, TableResult
from NeuroGenLib.tables import columnsOf, readTsv, tableNode

TABLE = "siteTable"


class Result(TableResult):
    """A harmonized site, seen from its table of scans.

    Roles: input0, harmonized0, ..., curves, histograms, curveChart, histogramChart0, record, report, checkerboard.
    """

    ANCHOR_ROLE = TABLE

    def pairs(self) -> list[tuple[int, Any, Any]]:
        """(index of the row, input, harmonized) of the scans that have both nodes."""
        found = [(k, self.node(f"input{k}"), self.node(f"harmonized{k}")) for k in range(self.table.GetNumberOfRows())]
        return [(k, before, after) for k, before, after in found if before is not None and after is not None]

    @property
    def record(self) -> dict[str, Any]:
        """What made it. Raises ValueError when the record was deleted or changed."""
        node = self.node("record")
        if node is None:
            raise ValueError(_("The record of {name} was deleted.").format(name=self.table.GetName()))
        return json.loads(node.GetText())


def importResult(folder: Path, inputVolumes: Sequence, names: Sequence[str], affines: Sequence[np.ndarray]) -> Result:
    """The nodes of what `neurogen harmonize` wrote to `folder`, in one new folder beside the first input.

    names : of the exported files, without ending; affines : with which they were exported
    Raises RuntimeError or ValueError when a file cannot be read; then nothing is left.
    """
    item = resultFolder(inputVolumes[0], _("{name} harmonized").format(name=inputVolumes[0].GetName()))
    try:
        return _importInto(item, folder, inputVolumes, names, affines)
    except (RuntimeError, ValueError, OSError):
        removeFolder(item)
        raise


def _importInto(item: int, folder: Path, inputVolumes: Sequence, names: Sequence[str], affines: Sequence) -> Result:
    columns = readTsv(folder / "harmonization.tsv")
    order = [names.index(str(name)) for name in columns["scan"]]
    columns["scan"] = [inputVolumes[k].GetName() for k in order]
    table = tableNode(_("{name} harmonization").format(name=inputVolumes[0].GetName()), columns)
    addToFolder(item, table)
    table.SetAttribute(ROLE, TABLE)
    result = Result(table)
    for row, k in enumerate(order):
        result.refer(f"input{row}", inputVolumes[k])
        path = folder / f"{names[k]}_harmonized.nii.gz"
        if path.is_file() and columns["stop_reason"][row] != "given back":
            title = _("{name} harmonized").format(name=inputVolumes[k].GetName())
            result.keep(f"harmonized{row}", importVolume(path, title, inputVolumes[k], exportedAffine=affines[k]))
    result.keepText("record", _("{name} record").format(name=table.GetName()), folder / "harmonize.json")
    result.keepText("report", _("{name} report").format(name=table.GetName()), folder / "report.html")
    _importCharts(result, folder, [names[k] for k in order])
    _stampAll(result)
    return result


def _importCharts(result: Result, folder: Path, names: Sequence[str]) -> None:
    """Charts of the adaptation and of every scan's histogram. names: of the files, in the order of the table."""
    curves = readTsv(folder / "curve.tsv")
    histograms = result.keep("histograms", tableNode(_("Histograms"), readTsv(folder / "histograms.tsv")))
    first = [k for k, name in enumerate(curves["scan"]) if name == curves["scan"][0]]
    if len(first) > 1:
        columns = {name: [curves[name][k] for k in first] for name in ("step", "bits")}
        table = result.keep("curves", tableNode(_("Adaptation"), columns))
        chart = plotTable(table, "step", [Series("bits", points=True)], title=_("Adaptation"), xTitle=_("step"),
                          yTitle=_("bits per brain pixel"))  # fmt: skip
        _keepChart(result, "curveChart", chart)
    for row, name in enumerate(names):
        if f"{name}_before" not in columnsOf(histograms):
            continue
        series = [
            Series(f"{name}_before", title=_("before"), dashed=True),
            Series(f"{name}_after", title=_("after")),
            Series("reference", title=_("reference site")),
        ]
        title = _("Intensities of {name}").format(name=result.rows()[row]["scan"])
        chart = plotTable(histograms, "level", series, title=title, yTitle=_("share of the brain"))
        _keepChart(result, f"histogramChart{row}", chart)


def _keepChart(result: Result, role: str, chart) -> None:
    for node in chartNodes(chart)[1:]:
        addToFolder(folderOf(result.table), node)
    result.keep(role, chart)


def _stampAll(result: Result) -> None:
    record = result.record
    model = record["model"]
    attributes = {
        "model": model["id"],
        "version": model["version"],
        "weightsSha256": model["weights_sha256"],
        "licence": model["licence"],
        "settings": record["settings"],
        "finished": record["finished"],
        "notice": record["notice"],
    }
    for node in (result.table, *(after for _row, _before, after in result.pairs())):
        stamp(node, attributes)
