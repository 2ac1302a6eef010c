"""The panel as a whole: its parts, what they tell each other, and the small jobs beside the detection."""

from collections.abc import Sequence
from dataclasses import replace
from subprocess import CalledProcessError

import qt
import slicer

from NeuroGenADLib import views
from NeuroGenADLib.choices import STAGES, ModelChoice
from NeuroGenADLib.compare_panel import ComparePanel
from NeuroGenADLib.comparison import isSameScan
from NeuroGenADLib.export_panel import ExportPanel
from NeuroGenADLib.inputs_panel import InputsPanel
from NeuroGenADLib.result import Result
from NeuroGenADLib.results_panel import ResultsPanel
from NeuroGenADLib.sample_data import startDemoCase
from NeuroGenADLib.settings import INPUT
from NeuroGenADLib.view_panel import ViewPanel
from NeuroGenLib.devices import Doctor, askDoctor
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job
from NeuroGenLib.module_panel import ModulePanel
from NeuroGenLib.packages import missingPackages
from NeuroGenLib.run_panel import RunPanel
from NeuroGenLib.scene_result import isOfResult
from NeuroGenLib.stages import stageText
from NeuroGenLib.worker import WorkerProcess

ERRAND_MS = 200
ERRAND_ENDS = 5.0  # seconds


class Panel(ModulePanel):
    """The panel of NeuroGenAD."""

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self._isAsked = False
        self._errands: list[WorkerProcess | Job] = []  # small jobs beside the detection
        self._errandTimer = qt.QTimer()
        self._errandTimer.setInterval(ERRAND_MS)
        self._errandTimer.connect("timeout()", self._onErrands)
        self.inputs = InputsPanel(ui, self._node, self.update)
        self.results = ResultsPanel(
            ui, logic, self._node, onChosen=self._onChosen, onCut=self._onCut, onRow=views.jumpToRow
        )
        self.view = ViewPanel(ui, self._node, self.results.result)
        self.compare = ComparePanel(ui, logic, self.inputs, self.view, self.results.result, self._runToCompare)
        self._scan, self._toCompare = None, []  # what has still to be run, on which scan, before two are compared
        self._isNext = False  # the job that starts now is one of these
        self._running = ""  # the method of the job, where it is one of these
        self.exports = ExportPanel(ui, self.results.result, self._watch)
        self.run = RunPanel(
            ui,
            logic,
            requester="NeuroGenAD",
            applyTip=_("Find what differs from a healthy brain"),
            missing=self.inputs.missing,
            start=self._start,
            stageText=self._stageText,
            onResult=self._onResult,
            onUpdated=self.compare.update,
        )
        ui.demoButton.connect("clicked(bool)", self._onDemo)

    def update(self) -> None:
        """Show what the parameter node and the scene hold."""
        super().update()
        self.view.update()

    def refresh(self) -> None:
        """Update where another result may be shown than before."""
        super().refresh()
        self.view.refresh()
        self.exports.update()

    def enter(self) -> None:
        """The module is opened: models may have been installed meanwhile."""
        super().enter()
        self._askDoctor()

    def showResult(self) -> None:
        """Bring the views to the chosen result, after a scene was loaded."""
        self.refresh()
        self.view.show(layout=True)

    def cleanup(self) -> None:
        """Stop all timers and errands."""
        super().cleanup()
        self._errandTimer.stop()
        for errand in self._errands:
            errand.cancel()
            errand.wait(ERRAND_ENDS)
        self.view.cleanup()
        self.results.cleanup()

    def onNodeAdded(self) -> None:
        """A scan that is loaded while the panel waits for one is taken."""
        self.offerInput()

    def offerInput(self) -> None:
        """Where no scan was chosen and no result is shown, choose the first scalar volume that is no result of ours."""
        if self.parameterNode is None or self.logic.isRunning:
            return
        if self.inputs.inputVolume() is not None or self.results.result() is not None:
            return
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not isOfResult(node):
                self.parameterNode.SetNodeReferenceID(INPUT, node.GetID())
                return

    def _start(self, **callbacks) -> None:
        """Start what the inputs say, or the next of the methods to compare."""
        volume, settings, mask = self.inputs.inputVolume(), self.inputs.settings(), self.inputs.mask()
        self._running = ""
        if self._isNext:
            model = self._toCompare.pop(0)
            mask = mask if volume is not None and volume.GetID() == self._scan.GetID() else None
            volume, settings = self._scan, replace(settings, model=model.ids[0], ensemble=model.ids[1:], steps=0)
            self._running = model.methodTitle
        else:
            self._toCompare.clear()
        self.logic.start(volume, settings, mask=mask, **callbacks)

    def _stageText(self, stage: str) -> str:
        text = stageText(stage, STAGES)
        return _("{method}: {stage}").format(method=self._running, stage=text) if self._running and stage else text

    def _runToCompare(self, scan, models: Sequence[ModelChoice]) -> None:
        """Run these methods on a scan, one after the other, then compare."""
        self._scan, self._toCompare = scan, list(models)
        self._runNext()

    def _runNext(self) -> None:
        self._isNext = bool(self._toCompare) and slicer.mrmlScene.IsNodePresent(self._scan)
        if self._isNext:
            self.run.onApply()
        self._isNext = False

    def _onResult(self, result: Result) -> None:
        """A job has ended: show its result, or compare it with the shown one where that was asked for."""
        shown = self.results.result()
        if self._running and not self._toCompare and shown is not None and isSameScan(shown, result):
            self.compare.start(result)
            return
        self._open(result)
        if self._toCompare:
            qt.QTimer.singleShot(0, self._runNext)

    def _open(self, result: Result) -> None:
        """Show a new result at its strongest region."""
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
        self.compare.update()  # the other result is cut alike
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
        self.doctor = doctor
        self.inputs.fillDevices(doctor)

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
