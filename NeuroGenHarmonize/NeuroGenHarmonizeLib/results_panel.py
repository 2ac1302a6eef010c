"""The lower part of the panel: which result, its table, comparison with the input, charts, undo."""

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer

from NeuroGenHarmonizeLib.choices import COMPARISON_TITLES
from NeuroGenHarmonizeLib.comparison import showComparison
from NeuroGenHarmonizeLib.result import Result, allResults
from NeuroGenHarmonizeLib.settings import RESULT, ViewSettings
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameters import readSettings, writeSettings
from NeuroGenLib.plots import showChart

COLUMNS = {
    "scan": _("Scan"),
    "bits_before": _("Bits before"),
    "bits_after": _("after"),
    "bits_reference": _("reference"),
    "steps": _("Steps"),
    "stop_reason": _("Ended by"),
    "ssim_to_input": _("SSIM to input"),
    "note": _("Note"),
}


class ResultsPanel:
    """Shows the chosen result; rows lead to scans, buttons to charts."""

    def __init__(self, ui, parameterNode: Callable[[], object]) -> None:
        self.ui = ui
        self._parameterNode = parameterNode
        self._updating = False
        for value, title in COMPARISON_TITLES.items():
            ui.compareComboBox.addItem(title, value)
        ui.scanTable.setColumnCount(len(COLUMNS))
        ui.scanTable.setHorizontalHeaderLabels(list(COLUMNS.values()))
        ui.scanTable.verticalHeader().setVisible(False)
        self._connect()

    def result(self) -> Result | None:
        """The chosen result."""
        node = self._parameterNode()
        table = node.GetNodeReference(RESULT) if node is not None else None
        return Result(table) if table is not None and slicer.mrmlScene.IsNodePresent(table) else None

    def view(self) -> ViewSettings:
        """How results are compared."""
        return readSettings(self._parameterNode(), ViewSettings)

    def choose(self, result: Result | None) -> None:
        """Make a result the shown one, in the parameter node and in the views."""
        node = self._parameterNode()
        if node is not None:
            node.SetNodeReferenceID(RESULT, result.table.GetID() if result is not None else None)
        self.update()
        self.show()

    def show(self) -> None:
        """Bring the views to the chosen result."""
        result = self.result()
        if result is not None:
            showComparison(result, self.view())

    def update(self) -> None:
        """Show the results of the scene and the chosen one."""
        if self._updating:
            return
        self._updating = True
        try:
            self._update(self.result())
        finally:
            self._updating = False

    def _update(self, result: Result | None) -> None:
        ui, view = self.ui, self.view()
        self._fillResults(result)
        for widget in (ui.viewFrame, ui.scanTable, ui.undoButton):
            widget.enabled = result is not None
        ui.compareComboBox.setCurrentIndex(ui.compareComboBox.findData(view.compare))
        ui.fadeSlider.value = view.fade
        ui.fadeSlider.enabled = view.compare == "fade"
        ui.curveButton.enabled = result is not None and result.node("curveChart") is not None
        ui.summaryLabel.text = _summary(result)
        ui.warningsLabel.text = _warnings(result)
        ui.warningsLabel.visible = bool(ui.warningsLabel.text)
        self._fillTable(result.rows() if result is not None else [])

    def _fillTable(self, rows: list) -> None:
        table = self.ui.scanTable
        table.setRowCount(len(rows))
        for k, row in enumerate(rows):
            for column, name in enumerate(COLUMNS):
                value = row.get(name, "")
                text = f"{value:.3f}" if isinstance(value, float) else str(value)
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(k, column, item)

    def _fillResults(self, chosen: Result | None) -> None:
        combo = self.ui.resultComboBox
        combo.clear()
        for result in allResults():
            combo.addItem(result.table.GetName(), result.table.GetID())
        combo.setCurrentIndex(combo.findData(chosen.table.GetID()) if chosen is not None else -1)
        combo.enabled = combo.count > 0

    def _connect(self) -> None:
        ui = self.ui
        ui.resultComboBox.connect("currentIndexChanged(int)", self._onResult)
        ui.compareComboBox.connect("currentIndexChanged(int)", self._onCompare)
        ui.fadeSlider.connect("valueChanged(double)", lambda value: self._change(fade=value))
        ui.scanTable.connect("cellClicked(int,int)", lambda row, column: self._change(scan=row))
        ui.histogramButton.connect("clicked(bool)", self._onHistogram)
        ui.curveButton.connect("clicked(bool)", self._onCurve)
        ui.undoButton.connect("clicked(bool)", self._onUndo)

    def _onResult(self, index: int) -> None:
        if not self._updating and index >= 0:
            node = slicer.mrmlScene.GetNodeByID(self.ui.resultComboBox.itemData(index))
            self.choose(Result(node) if node is not None else None)

    def _onCompare(self, index: int) -> None:
        if index >= 0:
            self._change(compare=self.ui.compareComboBox.itemData(index))

    def _change(self, **changes) -> None:
        node = self._parameterNode()
        if not self._updating and node is not None:
            writeSettings(node, replace(self.view(), **changes))
            self.update()
            self.show()

    def _onHistogram(self, checked: bool = False) -> None:
        """The histogram of the chosen scan."""
        result = self.result()
        chart = result.node(f"histogramChart{self.view().scan}") if result is not None else None
        if chart is not None:
            showChart(chart)

    def _onCurve(self, checked: bool = False) -> None:
        result = self.result()
        if result is not None and result.node("curveChart") is not None:
            showChart(result.node("curveChart"))

    def _onUndo(self, checked: bool = False) -> None:
        """Delete the result; the inputs are as they were."""
        result = self.result()
        if result is not None:
            result.remove()
            self.choose(next(iter(reversed(allResults())), None))


def _summary(result: Result | None) -> str:
    if result is None:
        return _("No result yet.")
    done, count = len(result.pairs()), result.table.GetNumberOfRows()
    return _("{done} of {count} scans are harmonized.").format(done=done, count=count)


def _warnings(result: Result | None) -> str:
    if result is None:
        return ""
    try:
        warnings = result.record.get("warnings", {})
    except ValueError as error:
        return str(error)
    notes = [f"{row['scan']}: {row['note']}" for row in result.rows() if row.get("note")]
    notes += [text for texts in warnings.values() for text in texts]
    return "\n".join(_("Caution: {text}").format(text=text) for text in notes)
