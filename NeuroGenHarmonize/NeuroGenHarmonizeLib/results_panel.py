"""The lower part of the panel: which result, its table, comparison with the input, charts, undo."""

from collections.abc import Callable, Mapping
from typing import Any

from NeuroGenHarmonizeLib.choices import COMPARISON_TITLES
from NeuroGenHarmonizeLib.comparison import showComparison
from NeuroGenHarmonizeLib.result import Result
from NeuroGenHarmonizeLib.settings import RESULT, ViewSettings
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameter_binding import ParameterBinding
from NeuroGenLib.plots import showChart
from NeuroGenLib.results_panel import ChosenResultPanel, showCells

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


class ResultsPanel(ChosenResultPanel):
    """Shows the chosen result; rows lead to scans, buttons to charts."""

    def __init__(self, ui, parameterNode: Callable[[], object]) -> None:
        super().__init__(ui, parameterNode, Result, reference=RESULT, deleteButton=ui.undoButton)
        ui.scanTable.setColumnCount(len(COLUMNS))
        ui.scanTable.setHorizontalHeaderLabels(list(COLUMNS.values()))
        ui.scanTable.verticalHeader().setVisible(False)
        self._binding = binding = ParameterBinding(parameterNode, ViewSettings, self._onView)
        binding.fill(ui.compareComboBox, COMPARISON_TITLES)
        binding.bindChoice(ui.compareComboBox, "compare")
        binding.bindNumber(ui.fadeSlider, "fade")
        ui.scanTable.connect("cellClicked(int,int)", lambda row, column: binding.change(scan=row))
        ui.histogramButton.connect("clicked(bool)", self._onHistogram)
        ui.curveButton.connect("clicked(bool)", self._onCurve)

    def view(self) -> ViewSettings:
        """How results are compared."""
        return self._binding.settings

    def show(self) -> None:
        """Bring the views to the chosen result."""
        result = self.result()
        if result is not None:
            showComparison(result, self.view())

    def _show(self, result: Result | None) -> None:
        ui = self.ui
        for widget in (ui.viewFrame, ui.scanTable, ui.undoButton):
            widget.enabled = result is not None
        self._binding.update()
        ui.fadeSlider.enabled = self.view().compare == "fade"
        ui.curveButton.enabled = result is not None and result.node("curveChart") is not None
        ui.summaryLabel.text = _summary(result)
        self._showWarnings(_warnings(result))
        showCells(ui.scanTable, [_cells(row) for row in result.rows()] if result is not None else [])

    def _onView(self) -> None:
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


def _cells(row: Mapping[str, Any]) -> list[str]:
    """What the columns show."""
    values = [row.get(name, "") for name in COLUMNS]
    return [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]


def _summary(result: Result | None) -> str:
    if result is None:
        return _("No result yet.")
    done, count = len(result.pairs()), result.table.GetNumberOfRows()
    return _("{done} of {count} scans are harmonized.").format(done=done, count=count)


def _warnings(result: Result | None) -> list[str]:
    if result is None:
        return []
    try:
        warnings = result.record.get("warnings", {})
    except ValueError as error:
        return [str(error)]
    notes = [f"{row['scan']}: {row['note']}" for row in result.rows() if row.get("note")]
    return notes + [text for texts in warnings.values() for text in texts]
