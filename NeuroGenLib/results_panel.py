"""The lower part of a module's panel: which result of the scene is shown, its warnings, and deleting it."""

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.scene_result import SceneResult

ROW_PIXELS = 22  # of a table


class ChosenResultPanel:
    """Shows the result that the parameter node refers to; a module says in `_show` and `show` how.

    It works on `resultComboBox` and `warningsLabel` of the form.
    """

    def __init__(
        self, ui, parameterNode: Callable[[], Any], kind: type[SceneResult], *, reference: str, deleteButton
    ) -> None:
        """`parameterNode()` is the current one, or None; `reference` is its role for the anchor of the result."""
        self.ui = ui
        self._parameterNode, self._kind, self._reference = parameterNode, kind, reference
        self._isUpdating = False
        ui.resultComboBox.connect("currentIndexChanged(int)", self._onResult)
        deleteButton.connect("clicked(bool)", self._onDelete)

    def result(self) -> Any:
        """The chosen result, or None."""
        node = self._parameterNode()
        anchor = node.GetNodeReference(self._reference) if node is not None else None
        return self._kind(anchor) if anchor is not None and slicer.mrmlScene.IsNodePresent(anchor) else None

    def choose(self, result: SceneResult | None) -> None:
        """Make a result the shown one, in the parameter node and in the views."""
        node = self._parameterNode()
        if node is not None:
            node.SetNodeReferenceID(self._reference, result.anchor.GetID() if result is not None else None)
        self.update()
        self.show()

    def update(self) -> None:
        """Show the results of the scene and the chosen one."""
        if self._isUpdating:
            return
        self._isUpdating = True
        try:
            result = self.result()
            self._fillResults(result)
            self._show(result)
        finally:
            self._isUpdating = False

    def show(self) -> None:
        """Bring the views to the chosen result."""
        raise NotImplementedError

    def _show(self, result: Any) -> None:
        """Bring the widgets to this result, or to none."""
        raise NotImplementedError

    def _showWarnings(self, texts: Sequence[str]) -> None:
        self.ui.warningsLabel.text = "\n".join(_("Caution: {text}").format(text=text) for text in texts)
        self.ui.warningsLabel.visible = bool(texts)

    def _fillResults(self, chosen: SceneResult | None) -> None:
        combo = self.ui.resultComboBox
        combo.clear()
        for result in self._kind.all():
            combo.addItem(result.title, result.anchor.GetID())
        combo.setCurrentIndex(combo.findData(chosen.anchor.GetID()) if chosen is not None else -1)
        combo.enabled = combo.count > 0

    def _onResult(self, index: int) -> None:
        if not self._isUpdating and index >= 0:
            node = slicer.mrmlScene.GetNodeByID(self.ui.resultComboBox.itemData(index))
            self.choose(self._kind(node) if node is not None else None)

    def _onDelete(self, checked: bool = False) -> None:
        """Delete the result and show the latest of the others."""
        result = self.result()
        if result is not None:
            result.remove()
            self.choose(next(iter(reversed(self._kind.all())), None))


def showCells(table, rows: Sequence[Sequence[str]]) -> None:
    """Fill a QTableWidget with texts; each is its own tool tip, for columns that are too narrow."""
    table.setRowCount(len(rows))
    for k, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            table.setItem(k, column, item)


def fitHeight(table) -> None:
    """Make a QTableWidget as high as its rows: neither a scroll bar nor empty room."""
    rows = sum(table.rowHeight(row) for row in range(table.rowCount))
    table.setFixedHeight(table.horizontalHeader().sizeHint.height() + rows + 2 * table.frameWidth)
