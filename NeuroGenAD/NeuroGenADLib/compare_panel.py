"""The comparison part of the panel: with which method, both beside each other, and what their markings share."""

from collections.abc import Callable, Sequence

import qt

from NeuroGenADLib.choices import ModelChoice
from NeuroGenADLib.comparison import Comparison, methodTitle, notYetRun, othersOf, titlesOf
from NeuroGenADLib.inputs_panel import InputsPanel
from NeuroGenADLib.result import Result
from NeuroGenADLib.view_panel import ViewPanel
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.results_panel import ROW_PIXELS, fitHeight, showCells

COLUMNS = (_("Method"), _("Regions"), _("ml"))


class ComparePanel:
    """One button starts and ends the comparison; a method that was not run on the scan yet is run first."""

    def __init__(
        self,
        ui,
        logic,
        inputs: InputsPanel,
        view: ViewPanel,
        result: Callable[[], Result | None],
        run: Callable[[object, Sequence[ModelChoice]], None],
    ) -> None:
        """`result()` is the shown result, or None; `run(scan, models)` runs these one after the other and then calls
        `start` with the last result."""
        self.ui = ui
        self._logic, self._inputs, self._view = logic, inputs, view
        self._result, self._run = result, run
        self._isUpdating = False
        self._picked = ""  # the offer that the user chose; before that it is the first one
        self._problem = ""  # why the last comparison could not be made
        self._offers: dict[str, Result | ModelChoice] = {}
        self._setUpTable(ui.compareTable)
        ui.compareButton.connect("toggled(bool)", self._onCompare)
        ui.compareComboBox.connect("currentIndexChanged(int)", self._onOther)
        self.update()

    def start(self, other: Result) -> None:
        """Compare the shown result with this one, both cut at the same operating point."""
        try:
            self._logic.compare(self._result(), other)
        except ValueError as error:  # a part of one was deleted
            self._problem = str(error)
        else:
            self._view.compare(other)

    def update(self) -> None:
        """Offer what can be compared, and show what is."""
        if self._isUpdating:
            return
        self._isUpdating = True
        try:
            beside, reason = self._view.beside(), self._whyNot()
            self._fillOffers(beside)
            reason = reason or ("" if self._offers else _("There is no other method. Add its model under Models."))
            button = self.ui.compareButton
            button.checked = beside is not None
            button.text = _("End comparison") if beside is not None else _("Compare")
            button.enabled = beside is not None or not reason
            self.ui.compareComboBox.enabled = not reason
            button.toolTip = self._tip(beside, reason)
            self._showComparison(beside)
        finally:
            self._isUpdating = False

    def _whyNot(self) -> str:
        """Why nothing can be compared now; empty when something can."""
        result = self._result()
        if self._logic.isRunning:
            return self._logic.busyText
        if result is None:
            return self._inputs.missing()
        if result.input is None:
            return _("The scan of this result was removed from the scene, so it cannot be compared.")
        return ""

    def _fillOffers(self, beside: Result | None) -> None:
        """First the results of the same scan, then the methods that were not run on it."""
        combo, result = self.ui.compareComboBox, self._result()
        others = othersOf(result) if result is not None else []
        titles = [methodTitle(each) for each in [*others, *([result] if result is not None else [])]]
        if result is None and self._inputs.chosen() is not None:
            titles = [self._inputs.chosen().methodTitle]
        self._offers = {other.map.GetID(): other for other in others}
        missing = notYetRun(self._inputs.models, titles) if titles else []
        self._offers |= {model.key: model for model in missing}
        combo.clear()
        for key, offer in self._offers.items():
            isResult = isinstance(offer, Result)
            combo.addItem(titlesOf(result, offer)[1] if isResult else _runTitle(offer), key)
        wanted = beside.map.GetID() if beside is not None else self._picked
        combo.setCurrentIndex(max(combo.findData(wanted), 0) if combo.count else -1)

    def _tip(self, beside: Result | None, reason: str) -> str:
        if beside is not None:
            return _("Back to the usual views of the first method")
        offer = self._offer()
        if reason or offer is None:
            return reason
        if isinstance(offer, Result):
            return _("Both methods beside each other: same scan, same place, same colors, same operating point")
        scan, models = self._wanted(offer)
        names = _(" and ").join(model.methodTitle for model in models)
        return _("Runs {methods} on {scan}, then shows both beside each other").format(
            methods=names, scan=scan.GetName()
        )

    def _offer(self) -> Result | ModelChoice | None:
        combo = self.ui.compareComboBox
        return self._offers.get(combo.itemData(combo.currentIndex)) if combo.count else None

    def _wanted(self, model: ModelChoice) -> tuple[object, list[ModelChoice]]:
        """The scan, and what has to be run on it before two methods can be compared."""
        result = self._result()
        if result is not None:
            return result.input, [model]
        return self._inputs.inputVolume(), [self._inputs.chosen(), model]

    def _onCompare(self, on: bool) -> None:
        if self._isUpdating:
            return
        offer, self._problem = self._offer(), ""
        if not on or offer is None:
            self._view.compare(None)
        elif isinstance(offer, Result):
            self.start(offer)
        else:
            self._run(*self._wanted(offer))
        self.update()

    def _onOther(self, index: int) -> None:
        """Another method is chosen: where two are compared already, show it at once."""
        if self._isUpdating:
            return
        offer, self._picked = self._offer(), self.ui.compareComboBox.itemData(index)
        if self._view.beside() is not None and offer is not None:
            self._onCompare(True)
        self.update()

    def _showComparison(self, beside: Result | None) -> None:
        table, comparison = self.ui.compareTable, None
        if beside is not None:
            try:
                comparison = self._logic.compare(self._result(), beside)
            except ValueError as error:
                self._problem = str(error)
        table.visible = comparison is not None
        self._say(" ".join(comparison.sentences) if comparison is not None else self._problem)
        if comparison is not None:
            showCells(table, _cells(comparison))
            fitHeight(table)

    def _say(self, text: str) -> None:
        self.ui.compareLabel.text = text
        self.ui.compareLabel.visible = bool(text)

    @staticmethod
    def _setUpTable(table) -> None:
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        header = table.horizontalHeader()
        for column in range(len(COLUMNS)):
            fit = qt.QHeaderView.ResizeToContents if column else qt.QHeaderView.Stretch
            header.setSectionResizeMode(column, fit)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)


def _runTitle(model: ModelChoice) -> str:
    return _("{method} (runs first)").format(method=model.methodTitle)


def _cells(comparison: Comparison) -> list[tuple[str, ...]]:
    """What the table shows."""
    rows = [(each.title, str(each.regions), f"{each.ml:.1f}") for each in (comparison.first, comparison.second)]
    return [*rows, (_("Marked by both"), "", f"{comparison.sharedMl:.1f}")]
