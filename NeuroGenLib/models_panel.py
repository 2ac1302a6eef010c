"""The models panel: what is here, what it was trained on, and installing, verifying, deleting, finding it."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from neurogen.errors import NeuroGenError
from NeuroGenLib import models_logic
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.packages import PackagesMissing, ensurePackages

STATE = 4  # the column that verifying changes


class ModelsPanel(qt.QWidget):
    """A widget to put into a collapsible section of a module's panel.

    `onChanged()` is called when a model was installed or deleted. Call `refresh()` when the section is opened: making
    the panel reads nothing.
    """

    def __init__(self, parent=None, *, onChanged: Callable[[], None] | None = None) -> None:
        qt.QWidget.__init__(self, parent)
        self.onChanged = onChanged
        self.rows: list[models_logic.ModelRow] = []
        self._build()
        self._updateButtons()

    def refresh(self) -> None:
        """Read the models anew."""
        selected = self.selectedId()
        self.rows = models_logic.modelRows()
        self.table.setRowCount(len(self.rows))
        for index, row in enumerate(self.rows):
            state = row.problem and _("damaged") or _("not verified yet")
            for column, text in enumerate((row.id, row.purpose, row.licence, row.origin, state)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.problem or row.trainedOn)
                self.table.setItem(index, column, item)
        ids = [row.id for row in self.rows]
        if ids:
            self.table.selectRow(ids.index(selected) if selected in ids else 0)
        self._showSelected()

    def selectedRow(self) -> models_logic.ModelRow | None:
        """The model whose row is selected."""
        index = self.table.currentRow()
        return self.rows[index] if 0 <= index < len(self.rows) else None

    def selectedId(self) -> str:
        """Its id, empty when none is selected."""
        row = self.selectedRow()
        return row.id if row else ""

    def install(self, path: str) -> None:
        """Add the model in a .zip file, or in the folder of a manifest.json; errors are shown."""
        source = Path(path).parent if Path(path).name == "manifest.json" else Path(path)
        try:
            ensurePackages("NeuroGen")
            row = models_logic.installModel(source)
        except (NeuroGenError, PackagesMissing, OSError) as error:
            slicer.util.errorDisplay(str(error), windowTitle=_("The model was not installed"))
            return
        self._changed()
        self.status.text = _("{model} {version} was installed and verified.").format(model=row.id, version=row.version)

    def _build(self) -> None:
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.table = self._makeTable()
        layout.addWidget(self.table)
        buttons = qt.QHBoxLayout()
        layout.addLayout(buttons)
        self.installButton = self._button(buttons, _("Install from file..."), self.onInstall)
        self.verifyButton = self._button(buttons, _("Verify"), self.onVerify)
        self.deleteButton = self._button(buttons, _("Delete"), self.onDelete)
        self.folderButton = self._button(buttons, _("Open folder"), self.onOpenFolder)
        self.status = qt.QLabel(self)
        self.status.wordWrap = True
        layout.addWidget(self.status)
        self.card = qt.QTextBrowser(self)
        self.card.setMinimumHeight(160)
        layout.addWidget(self.card)

    def _makeTable(self):
        table = qt.QTableWidget(self)
        headers = [_("Model"), _("For"), _("License of the weights"), _("Came"), _("State")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().setVisible(False)
        table.setMinimumHeight(140)
        table.connect("itemSelectionChanged()", self._showSelected)
        return table

    def _button(self, layout, text: str, onClicked: Callable[[], None]):
        button = qt.QPushButton(text, self)
        button.connect("clicked()", onClicked)
        layout.addWidget(button)
        return button

    def onInstall(self) -> None:
        filters = _("Models") + " (*.zip manifest.json)"
        path = qt.QFileDialog.getOpenFileName(self, _("Install a model"), "", filters)
        if path:
            self.install(path)

    def onVerify(self) -> None:
        row = self.selectedRow()
        problem = models_logic.verifyModel(row.id)
        self.table.item(self.table.currentRow(), STATE).setText(_("damaged") if problem else _("verified"))
        self.status.text = problem or _("Every file of {model} is as it was published.").format(model=row.id)

    def onDelete(self) -> None:
        row = self.selectedRow()
        question = _("Delete the model {model} and its {size:.1f} MB from this computer?")
        if not slicer.util.confirmOkCancelDisplay(question.format(model=row.id, size=row.megabytes)):
            return
        try:
            models_logic.removeModel(row.id)
        except (NeuroGenError, OSError) as error:
            slicer.util.errorDisplay(str(error), windowTitle=_("The model was not deleted"))
            return
        self._changed()
        self.status.text = _("{model} was deleted.").format(model=row.id)

    def onOpenFolder(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.selectedRow().folder)))

    def _changed(self) -> None:
        self.refresh()
        if self.onChanged is not None:
            self.onChanged()

    def _showSelected(self) -> None:
        row = self.selectedRow()
        self.status.text = row.problem if row else ""
        self.card.setMarkdown(models_logic.modelCard(row.id) if row and not row.problem else "")
        self._updateButtons()

    def _updateButtons(self) -> None:
        row = self.selectedRow()
        self.verifyButton.enabled = row is not None
        self.folderButton.enabled = row is not None
        self.deleteButton.enabled = row is not None and not row.isShipped
        self.deleteButton.toolTip = (
            _("Models that come with NeuroGen stay.") if row is not None and row.isShipped else _("Delete this model")
        )
