"""The NeuroGenHarmonize module: scans of any site, shown as the reference site would have taken them."""

import sys
from collections.abc import Callable, Sequence
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

from NeuroGenHarmonizeLib.result import Result  # noqa: E402
from NeuroGenHarmonizeLib.settings import HarmonizeSettings  # noqa: E402
from NeuroGenHarmonizeLib.site_job import Finished, SiteJob  # noqa: E402

from NeuroGenLib.outcome import Outcome  # noqa: E402

#
# NeuroGenHarmonize
#


class NeuroGenHarmonize(ScriptedLoadableModule):
    """What the application knows of the module."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("NeuroGen Harmonization")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Neuroimaging")]
        parent.dependencies = []
        parent.contributors = ["The NeuroGen developers"]
        parent.helpText = _(
            "Makes T1-weighted brain scans look as if the reference site had taken them, without ever having seen the "
            "other scanner: contrast changes, anatomy does not. A scan that cannot be brought closer is given back. "
            "Research use only. Not a diagnosis."
        )
        parent.helpText += self.getDefaultModuleDocumentationLink()
        parent.acknowledgementText = _(
            "The method follows F. Beizaee, Advancing brain MRI assessment using generative models, PhD thesis, École "
            "de technologie supérieure, 2025, chapter 2 (Harmonizing Flows). The shipped reference site is OpenNeuro "
            "ds002748."
        )


#
# NeuroGenHarmonizeWidget
#


class NeuroGenHarmonizeWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it binds what is chosen to the parameter node, calls the logic and shows what comes back."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._panel = None

    def setup(self) -> None:
        from NeuroGenHarmonizeLib.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/NeuroGenHarmonize.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = NeuroGenHarmonizeLogic()
        self._panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodesChanged)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End what runs; the application closes or the module is loaded anew."""
        self.removeObservers()
        if self._panel is not None:
            self._panel.cleanup()
        if self.logic is not None:
            self.logic.close()

    def enter(self) -> None:
        self.initializeParameterNode()
        self._panel.enter()

    def exit(self) -> None:
        """The results stay in the views."""

    def onReload(self) -> None:
        """Load the libraries of the module anew, too (developer mode)."""
        for name in list(sys.modules):
            if name.split(".")[0] in ("NeuroGenHarmonizeLib", "NeuroGenLib"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.logic.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene was loaded: show its state and its volumes."""
        self.initializeParameterNode()
        self._panel.showResult()

    def onNodesChanged(self, caller: Any, event: Any) -> None:
        """Volumes came or went: the list of scans follows."""
        self._panel.updateSoon()

    def initializeParameterNode(self) -> None:
        """Take the scene's parameter node."""
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
# NeuroGenHarmonizeLogic
#


def _ignore(*anything: Any) -> None:
    """A callback that nobody gave."""


class NeuroGenHarmonizeLogic(ScriptedLoadableModuleLogic):
    """Harmonizations in the scene: start, wait for or cancel one, and show its charts."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._job: SiteJob | None = None

    @property
    def isRunning(self) -> bool:
        """Whether scans are being harmonized."""
        return self._job is not None and self._job.outcome is None

    def start(
        self,
        inputVolumes: Sequence,
        settings: HarmonizeSettings = HarmonizeSettings(),
        *,
        onProgress: Callable[[str, float], None] = _ignore,
        onLog: Callable[[str], None] = _ignore,
        onFinished: Finished = _ignore,
    ) -> SiteJob:
        """Harmonize scalar volumes of one site in a child process; return at once. Call `poll` several times a second.

        onProgress(stage, fraction), onLog(line), onFinished(outcome, result) : called from `poll`; result is None
            unless there are harmonized scans
        Raises ValueError for volumes that cannot be used, RuntimeError while others are harmonized.
        """
        if not inputVolumes:
            raise ValueError(_("There is no scan to harmonize. Choose at least one T1-weighted brain scan."))
        if self.isRunning:
            raise RuntimeError(_("Scans are being harmonized. Cancel, or wait for the result."))
        self._job = SiteJob(inputVolumes, settings, onProgress=onProgress, onLog=onLog, onFinished=onFinished)
        return self._job

    def process(
        self,
        inputVolumes: Sequence,
        settings: HarmonizeSettings = HarmonizeSettings(),
        *,
        onProgress: Callable[[str, float], None] = _ignore,
        onLog: Callable[[str], None] = _ignore,
    ) -> Result:
        """Harmonize and wait for the result. Raises RuntimeError with the reason when there is none."""
        job = self.start(inputVolumes, settings, onProgress=onProgress, onLog=onLog)
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
        return self._job.wait(timeout) if self.isRunning else None


#
# NeuroGenHarmonizeTest
#


class NeuroGenHarmonizeTest(ScriptedLoadableModuleTest):
    """The self test: a result without a network, through nodes, comparison and charts."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_comparison()

    def test_comparison(self) -> None:
        from NeuroGenHarmonizeLib.comparison import checkerboard, showComparison
        from NeuroGenHarmonizeLib.self_test import smallResult
        from NeuroGenHarmonizeLib.settings import ViewSettings

        result = smallResult()
        showComparison(result, ViewSettings(compare="checkerboard"))
        board = slicer.util.arrayFromVolume(result.node("checkerboard"))
        before, after = (slicer.util.arrayFromVolume(node) for node in result.pairs()[0][1:])
        self.assertTrue((board == checkerboard(before, after, side=(20, 20, 20))).all())
        result.remove()
        self.assertIsNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode"))
