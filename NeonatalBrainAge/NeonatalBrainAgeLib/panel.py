"""The panel as a whole: its parts, what they tell each other, and the parameter node that they share."""

from pathlib import Path

import qt
import slicer

from NeonatalBrainAgeLib.exports import exportResult
from NeonatalBrainAgeLib.inputs_panel import InputsPanel
from NeonatalBrainAgeLib.result import Result
from NeonatalBrainAgeLib.results_panel import ResultsPanel
from NeonatalBrainAgeLib.run_panel import RunPanel
from NeonatalBrainAgeLib.settings import INPUT
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
        self.results = ResultsPanel(ui, logic, self._node, onChosen=self._onChosen)
        self.run = RunPanel(ui, logic, self.inputs, onResult=self._onResult)
        ui.exportButton.connect("clicked(bool)", self.onExport)
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self._onModels)
        ui.diagnosticsButton.connect("clicked(bool)", self._onDiagnostics)

    def setParameterNode(self, node) -> None:
        """Show this parameter node; a fresh one gets the first segmentation of the scene."""
        self.parameterNode = node
        if node is not None and node.GetNodeReference(INPUT) is None and self.results.result() is None:
            self._chooseFirstSegmentation()
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

    def onExport(self, checked: bool = False) -> None:
        """Write the shown result, and say what or why not."""
        result, ui = self.results.result(), self.ui
        boxes = {"nifti": ui.exportNiftiCheckBox, "csv": ui.exportCsvCheckBox, "html": ui.exportHtmlCheckBox,
                 "json": ui.exportJsonCheckBox}  # fmt: skip
        kinds = [kind for kind, box in boxes.items() if box.checked]
        if result is None or not kinds:
            ui.exportMessageLabel.text = _("Choose at least one kind of file.")
            return
        try:
            paths = exportResult(result, Path(ui.exportFolderButton.directory), kinds)
        except (ValueError, RuntimeError, OSError) as error:
            ui.exportMessageLabel.text = _("Not exported: {reason}").format(reason=error)
            return
        names = ", ".join(path.name for path in paths)
        ui.exportMessageLabel.text = _("Written: {names}").format(names=names)

    def _node(self):
        return self.parameterNode

    def _chooseFirstSegmentation(self) -> None:
        """The first segmentation that is no result of ours."""
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if node.GetAttribute("NeuroGen.role") is None:
                self.parameterNode.SetNodeReferenceID(INPUT, node.GetID())
                return

    def _onSoon(self) -> None:
        if not slicer.mrmlScene.IsClosing():
            self.update()

    def _onResult(self, result: Result) -> None:
        self.results.choose(result)

    def _onChosen(self) -> None:
        self.ui.exportMessageLabel.text = ""
        self.ui.chartMessageLabel.text = ""

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
