"""The lower part of the panel: which result, what is marked, warnings, the threshold, the table of regions."""

from collections.abc import Callable
from dataclasses import replace

import qt

from NeuroGenADLib.lesion_nodes import Row, rowsOf
from NeuroGenADLib.recut import CutSettings, inWords, summaryOf
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import RESULT
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.results_panel import ROW_PIXELS, ChosenResultPanel, showCells

RECUT_AFTER_MS = 40  # the slider waits so long for its next move before the lesions are cut
LOWEST, HIGHEST = 0.5, 3.0  # the slider's ends, in thresholds of the run
COLUMNS = (_("No."), _("Place"), _("ml"), _("Signal"), _("Peak"))
PLACE = 1  # the column that takes the room that is left
KINDS = {"bright": _("brighter"), "dark": _("darker")}
DIRECTIONS = (("both", _("brighter and darker")), ("bright", _("brighter only")), ("dark", _("darker only")))


class ResultsPanel(ChosenResultPanel):
    """Shows the chosen result; its slider cuts the regions again, its rows lead to them."""

    def __init__(
        self,
        ui,
        logic,
        parameterNode: Callable[[], object],
        *,
        onChosen: Callable[[Result | None], None],
        onCut: Callable[[Result], None],
        onRow: Callable[[Result, Row], None],
    ) -> None:
        """`onChosen` follows another result, `onCut` another threshold, `onRow` a click on a region."""
        super().__init__(ui, parameterNode, Result, reference=RESULT, deleteButton=ui.deleteResultButton)
        self._logic = logic
        self._onChosen, self._onCut, self._onRow = onChosen, onCut, onRow
        self._rows: tuple[Row, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(RECUT_AFTER_MS)
        self._timer.connect("timeout()", self._recut)
        for name, title in DIRECTIONS:
            ui.directionComboBox.addItem(title, name)
        self._setUpTable(ui.lesionTable)
        self._connect()
        self.update()

    def choose(self, result: Result | None) -> None:
        """Make a result the shown one; what the slider was about to do to the other is forgotten."""
        self._timer.stop()
        super().choose(result)

    def show(self) -> None:
        """Bring the views to the chosen result."""
        self._onChosen(self.result())

    def selectStrongest(self) -> Row | None:
        """Select the region of the highest peak, which need not be the largest; None where nothing is marked."""
        if not self._rows:
            return None
        row = max(self._rows, key=lambda each: each.numbers["peak_score"])
        self.ui.lesionTable.selectRow(self._rows.index(row))
        return row

    def cleanup(self) -> None:
        """Stop waiting for the slider."""
        self._timer.stop()

    def _show(self, result: Result | None) -> None:
        ui = self.ui
        for widget in (ui.cutFrame, ui.lesionTable, ui.viewFrame, ui.deleteResultButton, ui.exportCollapsibleButton):
            widget.enabled = result is not None
        if result is None:
            self._fillTable(())
            ui.summaryLabel.text = _("No result yet.")
            self._showWarnings(())
            ui.operatingPointLabel.text = ""
            return
        table = result.node("table")
        self._fillTable(rowsOf(table) if table is not None else ())
        ui.summaryLabel.text = summaryOf([row.numbers["volume_ml"] for row in self._rows])
        try:
            self._showCut(result)
        except ValueError as error:
            ui.cutFrame.enabled = False
            self._showWarnings((str(error),))
            ui.operatingPointLabel.text = ""

    def _showCut(self, result: Result) -> None:
        record, cut = result.record, result.cut
        self._showWarnings(record.warnings)
        self.ui.operatingPointLabel.text = inWords(cut, record.defaultCut, record.sentence)
        self.ui.defaultThresholdButton.enabled = cut != record.defaultCut
        if self._timer.isActive():
            return  # the user is moving them
        default = record.defaultCut.threshold
        self.ui.thresholdSlider.minimum = min(LOWEST * default, cut.threshold)
        self.ui.thresholdSlider.maximum = max(HIGHEST * default, cut.threshold)
        if abs(self.ui.thresholdSlider.value - cut.threshold) > 0.005:
            self.ui.thresholdSlider.value = cut.threshold
        if abs(self.ui.minimumVolumeSpinBox.value - cut.minimumMl) > 0.0005:
            self.ui.minimumVolumeSpinBox.value = cut.minimumMl
        self.ui.directionComboBox.setCurrentIndex(self.ui.directionComboBox.findData(cut.direction))

    def _fillTable(self, rows: tuple[Row, ...]) -> None:
        self._rows = rows
        showCells(self.ui.lesionTable, [_cells(row) for row in rows])

    @staticmethod
    def _setUpTable(table) -> None:
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        peak = _("The largest deviation in the region, in standard deviations of healthy brains")
        table.horizontalHeaderItem(COLUMNS.index(_("Peak"))).setToolTip(peak)
        header = table.horizontalHeader()
        for column in range(len(COLUMNS)):
            fit = qt.QHeaderView.Stretch if column == PLACE else qt.QHeaderView.ResizeToContents
            header.setSectionResizeMode(column, fit)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)

    def _connect(self) -> None:
        ui = self.ui
        ui.thresholdSlider.connect("valueChanged(double)", self._onMoved)
        ui.minimumVolumeSpinBox.connect("valueChanged(double)", self._onMoved)
        ui.directionComboBox.connect("currentIndexChanged(int)", self._onMoved)
        ui.defaultThresholdButton.connect("clicked(bool)", self._onDefault)
        ui.lesionTable.connect("cellClicked(int,int)", self._onCell)

    def _onMoved(self, value: float) -> None:
        if not self._isUpdating:
            self._timer.start()

    def _onDefault(self, checked: bool = False) -> None:
        result = self.result()
        if result is not None:
            self._cut(result, result.record.defaultCut)

    def _recut(self) -> None:
        result = self.result()
        if result is not None:
            ui = self.ui
            direction = ui.directionComboBox.itemData(ui.directionComboBox.currentIndex)
            settings = CutSettings(ui.thresholdSlider.value, direction, ui.minimumVolumeSpinBox.value)
            self._cut(result, _snapped(settings, result.record.defaultCut))

    def _cut(self, result: Result, settings: CutSettings) -> None:
        self._timer.stop()
        if settings != result.cut:
            self._logic.recut(result, settings)
        self.update()
        self._onCut(result)

    def _onCell(self, row: int, column: int) -> None:
        result = self.result()
        if result is not None and row < len(self._rows):
            self._onRow(result, self._rows[row])


def _cells(row: Row) -> tuple[str, ...]:
    """What the columns show."""
    return (
        str(row.label),
        row.words["region"] or row.words["side"],
        f"{row.numbers['volume_ml']:.2f}",
        KINDS.get(row.words["polarity"], row.words["polarity"]),
        f"{row.numbers['peak_score']:.1f}",
    )


def _snapped(settings: CutSettings, default: CutSettings) -> CutSettings:
    """The run's own numbers where the widgets show them, rounded to their decimals."""
    near = abs(settings.threshold - default.threshold) < 0.005
    same = abs(settings.minimumMl - default.minimumMl) < 0.0005
    return replace(
        settings,
        threshold=default.threshold if near else settings.threshold,
        minimumMl=default.minimumMl if same else settings.minimumMl,
    )
