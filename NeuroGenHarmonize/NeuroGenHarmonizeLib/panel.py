"""The panel as a whole: its parts, what they tell each other, and the parameter node that they share."""

import qt
import slicer

from NeuroGenHarmonizeLib.inputs_panel import InputsPanel
from NeuroGenHarmonizeLib.result import Result
from NeuroGenHarmonizeLib.results_panel import ResultsPanel
from NeuroGenHarmonizeLib.run_panel import RunPanel
from NeuroGenLib.i18n import tr as _


class Panel:
    """Everything below the module's name; holds no computation."""

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.parameterNode = None
        self._modelsPanel = None
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.connect("timeout()", self._onSoon)
        self.inputs = InputsPanel(ui, self._node, self.update)
        self.results = ResultsPanel(ui, self._node)
        self.run = RunPanel(ui, logic, self.inputs, onResult=self._onResult)
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self._onModels)
        ui.diagnosticsButton.connect("clicked(bool)", self._onDiagnostics)

    def setParameterNode(self, node) -> None:
        """Show this parameter node."""
        self.parameterNode = node
        self.update()

    def update(self) -> None:
        """Show what the parameter node and the scene hold."""
        self.inputs.update()
        self.results.update()
        self.run.update()

    def updateSoon(self) -> None:
        """Update once when many nodes come or go."""
        self._soon.start()

    def enter(self) -> None:
        """The module is opened: models may have been installed meanwhile."""
        self.inputs.fillModels()
        self.update()

    def showResult(self) -> None:
        """Bring the views to the chosen result, after a scene was loaded."""
        self.update()
        self.results.show()

    def cleanup(self) -> None:
        """Stop all timers."""
        self._soon.stop()
        self.run.cleanup()

    def _node(self):
        return self.parameterNode

    def _onSoon(self) -> None:
        if not slicer.mrmlScene.IsClosing():
            self.update()

    def _onResult(self, result: Result) -> None:
        self.results.choose(result)

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

        text = diagnosticsText(None, self.run.log())
        slicer.app.clipboard().setText(text)
        self.ui.logTextEdit.setPlainText(text)
        self.ui.logCollapsibleButton.collapsed = False
        self.run.showMessage(_("Copied to the clipboard: the text below, with versions and paths but no image data."))
