"""The NeuroGenAD module: what differs from a healthy brain in a T1-weighted head scan, shown and measured."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# From the source tree, neurogen and NeuroGenLib lie beside this module's folder; installed, beside this file.
_TREE = Path(__file__).resolve().parents[1]
if (_TREE / "NeuroGenLib").is_dir() and str(_TREE) not in sys.path:
    sys.path.append(str(_TREE))

from NeuroGenADLib.detection_job import DetectionJob, Finished  # noqa: E402
from NeuroGenADLib.lesion_nodes import showCut  # noqa: E402
from NeuroGenADLib.recut import CutSettings, Recutter  # noqa: E402
from NeuroGenADLib.result import Result  # noqa: E402
from NeuroGenADLib.sample_data import registerSampleData  # noqa: E402

from neurogen.anomaly import DetectionSettings  # noqa: E402
from NeuroGenLib.outcome import Outcome  # noqa: E402

#
# NeuroGenAD
#


class NeuroGenAD(ScriptedLoadableModule):
    """What the application knows of the module."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("NeuroGen Anomaly Detection")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Neuroimaging")]
        parent.dependencies = []
        parent.contributors = ["The NeuroGen developers"]
        parent.helpText = _(
            "Marks what differs from a healthy brain in a T1-weighted head scan of an adult: a pseudo-healthy volume, "
            "an anomaly map in standard deviations of healthy brains, and the marked regions as segments and table. "
            "Research use only. Not a diagnosis."
        )
        parent.helpText += self.getDefaultModuleDocumentationLink()
        parent.acknowledgementText = _(
            "The method follows F. Beizaee, Advancing brain MRI assessment using generative models, PhD thesis, École "
            "de technologie supérieure, 2025, chapter 5 (REFLECT; arXiv:2508.02889), and X. Liu, C. Gong, Q. Liu, "
            "arXiv:2209.03003. Template: ICBM152 2009a (V. Fonov et al., 2011), as distributed with nilearn."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


#
# NeuroGenADWidget
#


class NeuroGenADWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it binds what is chosen to the parameter node, calls the logic and shows what comes back."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._panel = None
        self._isOpen = False

    def setup(self) -> None:
        from NeuroGenADLib.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/NeuroGenAD.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = NeuroGenADLogic()
        self._panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End what runs; the application closes or the module is loaded anew."""
        self.removeObservers()
        if self._panel is not None:
            self._panel.cleanup()
        if self.logic is not None:
            self.logic.close()

    def enter(self) -> None:
        self._isOpen = True
        self.initializeParameterNode()
        self._panel.enter()

    def exit(self) -> None:
        """The results stay in the views."""
        self._isOpen = False

    def onReload(self) -> None:
        """Load the libraries of the module anew, too (developer mode)."""
        for name in list(sys.modules):
            if name.split(".")[0] in ("NeuroGenADLib", "NeuroGenLib"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.logic.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene was loaded: show its state, and its result where the user looks at this module."""
        self.initializeParameterNode()
        if self._isOpen:
            self._panel.showResult()

    def onNodeAdded(self, caller: Any, event: Any) -> None:
        """A scan that is loaded while the panel waits for one is taken."""
        if not slicer.mrmlScene.IsImporting():
            self._panel.offerScan()

    def onNodeRemoved(self, caller: Any, event: Any) -> None:
        self._panel.updateSoon()

    def initializeParameterNode(self) -> None:
        """Take the scene's parameter node; on a fresh one, choose the first scan."""
        if not slicer.mrmlScene.IsClosing():
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node) -> None:
        """Show and follow this parameter node, or none."""
        current = self._panel.parameterNode
        if current is not None and self.hasObserver(current, "ModifiedEvent", self.onParameterNodeModified):
            self.removeObserver(current, "ModifiedEvent", self.onParameterNodeModified)
        if node is not None:
            self.addObserver(node, "ModifiedEvent", self.onParameterNodeModified)
        self._panel.setParameterNode(node)

    def onParameterNodeModified(self, caller: Any, event: Any) -> None:
        self._panel.update()


#
# NeuroGenADLogic
#


def _ignore(*anything: Any) -> None:
    """A callback that nobody gave."""


class NeuroGenADLogic(ScriptedLoadableModuleLogic):
    """Detections in the scene: start, wait for or cancel one, and cut its lesions again."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._job: DetectionJob | None = None
        self._recutter: tuple[Any, Recutter] | None = None

    @property
    def isRunning(self) -> bool:
        """Whether a scan is being examined."""
        return self._job is not None and self._job.outcome is None

    def start(
        self,
        inputVolume,
        settings: DetectionSettings = DetectionSettings(),
        *,
        mask=None,
        onProgress: Callable[[str, float], None] = _ignore,
        onLog: Callable[[str], None] = _ignore,
        onFinished: Finished = _ignore,
    ) -> DetectionJob:
        """Examine a scalar volume in a child process; return at once. Call `poll` several times a second.

        mask : the brain, as label map volume on the grid of the scan or as segmentation; None computes it
        onProgress(stage, fraction), onLog(line), onFinished(outcome, result) : called from `poll`; result is None
            unless the outcome is "done"
        Raises ValueError for a volume that cannot be used, RuntimeError while another is examined.
        """
        if inputVolume is None:
            raise ValueError(_("There is no scan to examine. Choose a T1-weighted head scan."))
        if self.isRunning:
            raise RuntimeError(_("A scan is being examined. Cancel it, or wait for its result."))
        self._job = DetectionJob(
            inputVolume,
            settings,
            mask=mask,
            recut=self.recut,
            onProgress=onProgress,
            onLog=onLog,
            onFinished=onFinished,
        )
        return self._job

    def process(
        self,
        inputVolume,
        settings: DetectionSettings = DetectionSettings(),
        *,
        mask=None,
        onProgress: Callable[[str, float], None] = _ignore,
        onLog: Callable[[str], None] = _ignore,
    ) -> Result:
        """Examine a volume and wait for the result. Raises RuntimeError with the reason when there is none."""
        job = self.start(inputVolume, settings, mask=mask, onProgress=onProgress, onLog=onLog)
        outcome = job.wait()
        if job.result is None:
            raise RuntimeError(outcome.message)
        return job.result

    def poll(self) -> bool:
        """Deliver progress, log and end of the job; return whether it is still running."""
        return self._job is not None and self._job.poll()

    def cancel(self) -> None:
        """Ask the job to stop with all its processes; it leaves neither nodes nor files."""
        if self.isRunning:
            self._job.cancel()

    def close(self, timeout: float = 5.0) -> Outcome | None:
        """Cancel and wait until nothing is left of the job."""
        self.cancel()
        self._recutter = None
        return self._job.wait(timeout) if self.isRunning else None

    def recut(self, result: Result, settings: CutSettings) -> None:
        """Cut the lesions of a result at another threshold: its segments and its table are made anew.

        Raises ValueError when the record of the result was deleted.
        """
        cut = self._recutterOf(result).cut(settings)
        showCut(result, cut)
        result.cut = settings

    def _recutterOf(self, result: Result) -> Recutter:
        """The cutter of this map, kept while the slider moves."""
        key = (result.map.GetID(), result.map.GetImageData().GetMTime())
        if self._recutter is None or self._recutter[0] != key:
            self._recutter = (key, result.recutter())
        return self._recutter[1]


#
# NeuroGenADTest
#


class NeuroGenADTest(ScriptedLoadableModuleTest):
    """The self test: a head of two lesions without a network, through nodes, slider and folder."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_lesionsAreCutAgain()

    def test_lesionsAreCutAgain(self) -> None:
        from NeuroGenADLib.self_test import twoLesions

        result = twoLesions()
        logic = NeuroGenADLogic()
        for threshold, count in ((3.0, 2), (6.0, 1), (9.0, 0)):
            logic.recut(result, CutSettings(threshold))
            self.assertEqual(result.node("lesions").GetSegmentation().GetNumberOfSegments(), count)
            self.assertEqual(result.node("table").GetNumberOfRows(), count)
        result.remove()
        self.assertIsNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
