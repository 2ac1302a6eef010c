"""The NeuroGenHarmonize module: scans of any site, shown as the reference site would have taken them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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

from NeuroGenHarmonizeLib.settings import HarmonizeSettings  # noqa: E402
from NeuroGenHarmonizeLib.site_job import SiteJob  # noqa: E402

from NeuroGenLib.module_logic import JobLogicMixin  # noqa: E402
from NeuroGenLib.module_widget import ModuleWidgetMixin  # noqa: E402
from NeuroGenLib.node_job import Finished  # noqa: E402
from NeuroGenLib.worker import ignore  # noqa: E402

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


class NeuroGenHarmonizeWidget(ModuleWidgetMixin, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it binds what is chosen to the parameter node, calls the logic and shows what comes back."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def makeParts(self, ui) -> tuple:
        from NeuroGenHarmonizeLib.panel import Panel

        logic = NeuroGenHarmonizeLogic()
        return logic, Panel(ui, logic)


#
# NeuroGenHarmonizeLogic
#


class NeuroGenHarmonizeLogic(JobLogicMixin, ScriptedLoadableModuleLogic):
    """Harmonizations in the scene: start, wait for or cancel one, and show its charts."""

    busyText = _("Scans are being harmonized. Cancel, or wait for the result.")

    def start(
        self,
        inputVolumes: Sequence,
        settings: HarmonizeSettings = HarmonizeSettings(),
        *,
        onProgress: Callable[[str, float], None] = ignore,
        onLog: Callable[[str], None] = ignore,
        onFinished: Finished = ignore,
    ) -> SiteJob:
        """Harmonize scalar volumes of one site in a child process; return at once. Call `poll` several times a second.

        onProgress(stage, fraction), onLog(line), onFinished(outcome, result) : called from `poll`; result is None
            unless there are harmonized scans
        Raises ValueError for volumes that cannot be used, RuntimeError while others are harmonized.
        """
        if not inputVolumes:
            raise ValueError(_("There is no scan to harmonize. Choose at least one T1-weighted brain scan."))
        return self._begin(SiteJob, inputVolumes, settings, onProgress=onProgress, onLog=onLog, onFinished=onFinished)


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
