"""A module's panel as a whole: its parts, the parameter node that they share, models and diagnostics."""

import qt
import slicer

from NeuroGenLib.devices import Doctor
from NeuroGenLib.i18n import tr as _


class ModulePanel:
    """Everything below the module's name; holds no computation.

    A module's own panel makes the parts `inputs`, `results` and `run`, and says what they tell each other.
    """

    doctor: Doctor | None = None  # what `neurogen doctor` answered, for the diagnostics

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.parameterNode = None
        self._modelsPanel = None
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.connect("timeout()", self._onSoon)
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self._onModels)
        ui.diagnosticsButton.connect("clicked(bool)", self._onDiagnostics)

    def setParameterNode(self, node) -> None:
        """Show this parameter node, or none while a scene closes."""
        self.parameterNode = node
        if node is not None:
            self.offerInput()
        self.refresh()

    def offerInput(self) -> None:
        """Choose an input where none was chosen and no result is shown; nothing by default."""

    def update(self) -> None:
        """Show what the parameter node and the scene hold."""
        self.inputs.update()
        self.results.update()
        self.run.update()

    def refresh(self) -> None:
        """Update where another result may be shown than before."""
        self.update()

    def updateSoon(self) -> None:
        """Update once when many nodes come or go."""
        self._soon.start()

    def onNodeAdded(self) -> None:
        """A node came into the scene."""
        self.updateSoon()

    def enter(self) -> None:
        """The module is opened: models may have been installed meanwhile."""
        self.inputs.fillModels()
        self.update()

    def showResult(self) -> None:
        """Bring the views to the chosen result, after a scene was loaded."""
        self.refresh()
        self.results.show()

    def cleanup(self) -> None:
        """Stop all timers."""
        self._soon.stop()
        self.run.cleanup()

    def _node(self):
        return self.parameterNode

    def _onSoon(self) -> None:
        if not slicer.mrmlScene.IsClosing():
            self.refresh()

    def _onModels(self, collapsed: bool) -> None:
        """The models panel is made when it is first opened."""
        if collapsed:
            return
        if self._modelsPanel is None:
            from NeuroGenLib.models_panel import ModelsPanel

            self._modelsPanel = ModelsPanel(onChanged=self.enter)
            self.ui.modelsCollapsibleButton.layout().addWidget(self._modelsPanel)
        self._modelsPanel.refresh()

    def _onDiagnostics(self, checked: bool = False) -> None:
        """Copy what a bug report needs, and show it."""
        from NeuroGenLib.diagnostics import diagnosticsText

        text = diagnosticsText(self.doctor, self.run.log())
        slicer.app.clipboard().setText(text)
        self.ui.logTextEdit.setPlainText(text)
        self.ui.logCollapsibleButton.collapsed = False
        self.run.showMessage(_("Copied to the clipboard: the text below, with versions and paths but no image data."))
