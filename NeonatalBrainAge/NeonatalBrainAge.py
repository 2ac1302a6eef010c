"""The NeonatalBrainAge module: a newborn's brain age from 86 regions, with the regions that say so."""

import sys
from collections.abc import Callable
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

from NeonatalBrainAgeLib import charts  # noqa: E402
from NeonatalBrainAgeLib.age_job import AgeJob  # noqa: E402
from NeonatalBrainAgeLib.result import Result  # noqa: E402
from NeonatalBrainAgeLib.settings import AgeJobSettings  # noqa: E402

from NeuroGenLib.module_logic import JobLogicMixin  # noqa: E402
from NeuroGenLib.module_widget import ModuleWidgetMixin  # noqa: E402
from NeuroGenLib.node_job import Finished  # noqa: E402
from NeuroGenLib.worker import ignore  # noqa: E402

#
# NeonatalBrainAge
#


class NeonatalBrainAge(ScriptedLoadableModule):
    """What the application knows of the module."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("NeuroGen Neonatal Brain Age")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Neuroimaging")]
        parent.dependencies = []
        parent.contributors = ["The NeuroGen developers"]
        parent.helpText = _(
            "Reads the postmenstrual age from a newborn's brain: from a segmentation with the 87 regions of Draw-EM "
            "or from a brain-extracted T2w scan, whose regions are found first. Shows the interval, the gap, and which "
            "regions run ahead or behind in growth charts. Research use only. Not a diagnosis."
        )
        parent.helpText += self.getDefaultModuleDocumentationLink()
        parent.acknowledgementText = _(
            "The method follows F. Beizaee, Advancing brain MRI assessment using generative models, PhD thesis, École "
            "de technologie supérieure, 2025, chapter 6 (doi:10.1038/s41598-023-40244-z). The age model was fitted on "
            "feature tables of the developing Human Connectome Project published with that article; the regions are "
            "those of A. Makropoulos et al., doi:10.1109/TMI.2014.2322280; the network that finds them was trained on "
            "the CHN fetal brain atlas."
        )


#
# NeonatalBrainAgeWidget
#


class NeonatalBrainAgeWidget(ModuleWidgetMixin, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it binds what is chosen to the parameter node, calls the logic and shows what comes back."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def makeParts(self, ui) -> tuple:
        from NeonatalBrainAgeLib.panel import Panel

        logic = NeonatalBrainAgeLogic()
        return logic, Panel(ui, logic)


#
# NeonatalBrainAgeLogic
#


class NeonatalBrainAgeLogic(JobLogicMixin, ScriptedLoadableModuleLogic):
    """Readings in the scene: start, wait for or cancel one, and show its charts."""

    busyText = _("An age is being read. Cancel, or wait for the result.")

    def start(
        self,
        inputNode,
        settings: AgeJobSettings = AgeJobSettings(),
        *,
        onProgress: Callable[[str, float], None] = ignore,
        onLog: Callable[[str], None] = ignore,
        onFinished: Finished = ignore,
    ) -> AgeJob:
        """Read an age in a child process; return at once. Call `poll` several times a second.

        inputNode : a segmentation or label map volume with 87 regions, or a brain-extracted T2w scalar volume
        onProgress(stage, fraction), onLog(line), onFinished(outcome, result) : called from `poll`; result is None
            unless the outcome is "done"
        Raises ValueError for an input that cannot be used, RuntimeError while another is read.
        """
        if inputNode is None:
            raise ValueError(_("There is nothing to read. Choose a segmentation, a label map or a T2w scan."))
        return self._begin(AgeJob, inputNode, settings, onProgress=onProgress, onLog=onLog, onFinished=onFinished)

    def showGrowth(self, result: Result, label: int, feature: str = "svr"):
        """Show the growth chart of a region, this scan as a dot; return the chart node.

        feature : "rv" or "svr". Raises ValueError or RuntimeError when the model of the result is not there.
        """
        from neurogen.brain_age.age_model import load_age_model
        from neurogen.models import ModelStore
        from NeuroGenLib.plots import showChart

        loaded = load_age_model(ModelStore().get(result.record.content["model"]["id"]))
        chart = charts.showGrowth(result, loaded.charts, label, feature)
        showChart(chart)
        return chart

    def showImportance(self, result: Result):
        """Show the regions that say most about the age as bars; return the chart node."""
        from NeuroGenLib.plots import showChart

        chart = charts.showImportance(result)
        showChart(chart)
        return chart


#
# NeonatalBrainAgeTest
#


class NeonatalBrainAgeTest(ScriptedLoadableModuleTest):
    """The self test: a reading without a network, through nodes, colors and charts."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_regionsAreColored()

    def test_regionsAreColored(self) -> None:
        from NeonatalBrainAgeLib.coloring import NOTHING, showColors
        from NeonatalBrainAgeLib.self_test import smallResult
        from NeonatalBrainAgeLib.settings import ViewSettings

        result = smallResult()
        showColors(result, ViewSettings(colorBy="rv_z"))
        values = set(slicer.util.arrayFromVolume(result.node("colors")).ravel().tolist())
        self.assertEqual(len(values), 1 + result.table.GetNumberOfRows())
        self.assertEqual(min(values), NOTHING)
        result.remove()
        self.assertIsNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
