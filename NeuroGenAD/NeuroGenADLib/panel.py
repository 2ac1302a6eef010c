"""The panel as a whole: its parts, what they tell each other, and the parameter node that they share."""

from subprocess import CalledProcessError

import qt
import slicer

from NeuroGenADLib import views
from NeuroGenADLib.export_panel import ExportPanel
from NeuroGenADLib.inputs_panel import InputsPanel
from NeuroGenADLib.result import ROLE, Result
from NeuroGenADLib.results_panel import ResultsPanel
from NeuroGenADLib.run_panel import RunPanel
from NeuroGenADLib.sample_data import startDemoCase
from NeuroGenADLib.settings import INPUT
from NeuroGenADLib.view_panel import ViewPanel
from NeuroGenLib.devices import Doctor, askDoctor
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job
from NeuroGenLib.packages import missingPackages
from NeuroGenLib.worker import WorkerProcess

ERRAND_MS = 200
ERRAND_ENDS = 5.0  # seconds


class Panel:
    """Everything below the module's name; holds no computation."""

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.parameterNode = None
        self._logic = logic
        self._modelsPanel = None
        self._doctor: Doctor | None = None
        self._isAsked = False
        self._errands: list[WorkerProcess | Job] = []  # small jobs beside the detection
        self._errandTimer = qt.QTimer()
        self._errandTimer.setInterval(ERRAND_MS)
        self._errandTimer.connect("timeout()", self._onErrands)
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.connect("timeout()", self._onSoon)
        self.inputs = InputsPanel(ui, self._node, self.update)
        self.results = ResultsPanel(
            ui, logic, self._node, onChosen=self._onChosen, onCut=self._onCut, onRow=views.jumpToRow
        )
        self.view = ViewPanel(ui, self._node, self.results.result)
        self.exports = ExportPanel(ui, self.results.result, self._watch)
        self.run = RunPanel(ui, logic, self.inputs, onResult=self._onResult)
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", self._onModels)
        ui.diagnosticsButton.connect("clicked(bool)", self._onDiagnostics)
        ui.demoButton.connect("clicked(bool)", self._onDemo)

    def setParameterNode(self, node) -> None:
        """Show this parameter node; a fresh one gets the first scan of the scene."""
        self.parameterNode = node
        self.offerScan()
        self.update()
        self.exports.update()

    def update(self) -> None:
        """Show what the parameter node and the scene hold."""
        self.inputs.update()
        self.results.update()
        self.view.update()
        self.run.update()

    def updateSoon(self) -> None:
        """Update once when many nodes come or go."""
        self._soon.start()

    def enter(self) -> None:
        """The module is opened: models may have been installed meanwhile."""
        self.inputs.fillModels()
        self._askDoctor()
        self.update()

    def showResult(self) -> None:
        """Bring the views to the chosen result, after a scene was loaded."""
        self.update()
        self.exports.update()
        self.view.show(layout=self.view.settings().sideBySide)

    def cleanup(self) -> None:
        """Stop all timers and errands."""
        self._soon.stop()
        self._errandTimer.stop()
        for errand in self._errands:
            errand.cancel()
            errand.wait(ERRAND_ENDS)
        self.run.cleanup()
        self.view.cleanup()
        self.results.cleanup()

    def _node(self):
        return self.parameterNode

    def offerScan(self) -> None:
        """Where no scan was chosen and no result is shown, choose the first scalar volume that is no result of ours."""
        if self.parameterNode is None or self._logic.isRunning:
            return
        if self.inputs.inputVolume() is not None or self.results.result() is not None:
            return
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetAttribute(ROLE) is None:
                self.parameterNode.SetNodeReferenceID(INPUT, node.GetID())
                return

    def _onSoon(self) -> None:
        if not slicer.mrmlScene.IsClosing():
            self.update()
            self.exports.update()

    def _onResult(self, result: Result) -> None:
        """A job has ended: show its result at its strongest region."""
        self.results.choose(result)
        row = self.results.selectStrongest()
        if row is not None:
            views.lookAt(result, row)

    def _onChosen(self, result: Result | None) -> None:
        self.exports.update()
        if result is None:
            views.hideResults()
        else:
            self.view.show()

    def _onCut(self, result: Result) -> None:
        self.exports.update()
        self.view.show()

    def _askDoctor(self) -> None:
        """Ask once which devices there are, in a child process; without torch there is nothing to ask."""
        if not self._isAsked and not missingPackages():
            self._isAsked = True
            self._watch(askDoctor(self._onDoctor))

    def _watch(self, errand: "WorkerProcess | Job") -> None:
        self._errands.append(errand)
        self._errandTimer.start()

    def _onErrands(self) -> None:
        self._errands = [errand for errand in self._errands if errand.poll()]
        if not self._errands:
            self._errandTimer.stop()

    def _onDoctor(self, doctor: Doctor) -> None:
        self._doctor = doctor
        self.inputs.fillDevices(doctor)

    def _onModels(self, collapsed: bool) -> None:
        """The models panel is made when it is first opened."""
        if collapsed:
            return
        if self._modelsPanel is None:
            self._makeModelsPanel()
        self._modelsPanel.refresh()

    def _makeModelsPanel(self) -> None:
        from NeuroGenLib.models_panel import ModelsPanel

        self._modelsPanel = ModelsPanel(onChanged=self.inputs.fillModels)
        self.ui.modelsCollapsibleButton.layout().addWidget(self._modelsPanel)

    def _onDiagnostics(self, checked: bool = False) -> None:
        """Copy what a bug report needs, and show it."""
        from NeuroGenLib.diagnostics import diagnosticsText

        text = diagnosticsText(self._doctor, self.run.log())
        slicer.app.clipboard().setText(text)
        self.ui.logTextEdit.setPlainText(text)
        self.ui.logCollapsibleButton.collapsed = False
        self.run.showMessage(_("Copied to the clipboard: the text below, with versions and paths but no image data."))

    def _onDemo(self, checked: bool = False) -> None:
        """Make and load the demo case: the template with a planted lesion."""
        try:
            self._watch(startDemoCase(self._onDemoLoaded, self._onDemoFailed))
        except (RuntimeError, OSError, CalledProcessError) as error:
            self.run.showMessage(str(error))
            return
        self.ui.demoButton.enabled = False
        self.run.showMessage(_("Making the demo case ..."))

    def _onDemoLoaded(self, node) -> None:
        self._onDemoFailed("")
        if self.parameterNode is not None:
            self.parameterNode.SetNodeReferenceID(INPUT, node.GetID())
        slicer.util.setSliceViewerLayers(background=node, fit=True)

    def _onDemoFailed(self, reason: str) -> None:
        self.ui.demoButton.enabled = True
        self.run.showMessage(reason)
