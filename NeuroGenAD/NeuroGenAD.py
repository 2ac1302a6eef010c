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

from NeuroGenADLib import views  # noqa: E402
from NeuroGenADLib.comparison import Comparison, atSamePoint, compareMarkings, markingsKey  # noqa: E402
from NeuroGenADLib.detection_job import DetectionJob  # noqa: E402
from NeuroGenADLib.lesion_nodes import showCut  # noqa: E402
from NeuroGenADLib.recut import CutSettings, Recutter  # noqa: E402
from NeuroGenADLib.result import Result  # noqa: E402
from NeuroGenADLib.sample_data import registerSampleData  # noqa: E402
from NeuroGenADLib.settings import ViewSettings  # noqa: E402

from neurogen.anomaly import DetectionSettings  # noqa: E402
from NeuroGenLib.module_logic import JobLogicMixin  # noqa: E402
from NeuroGenLib.module_widget import ModuleWidgetMixin  # noqa: E402
from NeuroGenLib.node_job import Finished  # noqa: E402
from NeuroGenLib.outcome import Outcome  # noqa: E402
from NeuroGenLib.worker import ignore  # noqa: E402

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


class NeuroGenADWidget(ModuleWidgetMixin, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it binds what is chosen to the parameter node, calls the logic and shows what comes back."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def makeParts(self, ui) -> tuple:
        from NeuroGenADLib.panel import Panel

        logic = NeuroGenADLogic()
        return logic, Panel(ui, logic)


#
# NeuroGenADLogic
#


class NeuroGenADLogic(JobLogicMixin, ScriptedLoadableModuleLogic):
    """Detections in the scene: start, wait for or cancel one, and cut its lesions again."""

    busyText = _("A scan is being examined. Cancel it, or wait for its result.")

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._recutters: dict[str, tuple[int, Recutter]] = {}
        self._comparison: tuple[Any, Comparison] | None = None

    def start(
        self,
        inputVolume,
        settings: DetectionSettings = DetectionSettings(),
        *,
        mask=None,
        onProgress: Callable[[str, float], None] = ignore,
        onLog: Callable[[str], None] = ignore,
        onFinished: Finished = ignore,
    ) -> DetectionJob:
        """Examine a scalar volume in a child process; return at once. Call `poll` several times a second.

        mask : the brain, as label map volume on the grid of the scan or as segmentation; None computes it
        onProgress(stage, fraction), onLog(line), onFinished(outcome, result) : called from `poll`; result is None
            unless the outcome is "done"
        Raises ValueError for a volume that cannot be used, RuntimeError while another is examined.
        """
        if inputVolume is None:
            raise ValueError(_("There is no scan to examine. Choose a T1-weighted head scan."))
        callbacks = {"onProgress": onProgress, "onLog": onLog, "onFinished": onFinished}
        return self._begin(DetectionJob, inputVolume, settings, mask=mask, recut=self.recut, **callbacks)

    def close(self, timeout: float = 5.0) -> Outcome | None:
        """Cancel and wait until nothing is left of the job; forget the maps that were cut."""
        self._recutters.clear()
        self._comparison = None
        return super().close(timeout)

    def recut(self, result: Result, settings: CutSettings) -> None:
        """Cut the lesions of a result at another threshold: its segments and its table are made anew.

        Raises ValueError when the record of the result was deleted.
        """
        cut = self._recutterOf(result).cut(settings)
        showCut(result, cut)
        result.cut = settings

    def compare(self, first: Result, second: Result) -> Comparison:
        """What two methods marked in one scan, both cut at the same operating point: the second follows the first.

        Raises ValueError for results of different scans, and when the record or the regions of one were deleted.
        """
        cut = atSamePoint(first, second)
        if cut != second.cut:
            self.recut(second, cut)
        key = markingsKey(first, second)
        if self._comparison is None or self._comparison[0] != key:
            self._comparison = (key, compareMarkings(first, second))
        return self._comparison[1]

    def show(self, result: Result, view: ViewSettings = ViewSettings(), *, beside: Result | None = None) -> None:
        """Bring the slice views to a result, or to two methods' results of one scan beside each other.

        The panel does so by itself; this is for scripts. Without a layout manager nothing happens.
        """
        views.showResult(result, view, beside=beside, layout=True)

    def _recutterOf(self, result: Result) -> Recutter:
        """The cutter of this map, kept while the slider moves; of two maps at most, as many as are compared."""
        name, changed = result.map.GetID(), result.map.GetImageData().GetMTime()
        known = self._recutters.pop(name, None)
        if known is None or known[0] != changed:
            known = (changed, result.recutter())
        while len(self._recutters) > 1:
            del self._recutters[next(iter(self._recutters))]
        self._recutters[name] = known
        return known[1]


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
