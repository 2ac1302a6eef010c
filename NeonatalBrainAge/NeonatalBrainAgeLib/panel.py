"""The panel as a whole: its parts, and what they tell each other."""

import slicer

from NeonatalBrainAgeLib.choices import STAGES
from NeonatalBrainAgeLib.exports import exportResult
from NeonatalBrainAgeLib.inputs_panel import InputsPanel
from NeonatalBrainAgeLib.results_panel import ResultsPanel
from NeonatalBrainAgeLib.settings import INPUT
from NeuroGenLib.export_panel import ExportPanel
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.module_panel import ModulePanel
from NeuroGenLib.run_panel import RunPanel
from NeuroGenLib.scene_result import isOfResult
from NeuroGenLib.stages import stageText


class Panel(ModulePanel):
    """The panel of NeonatalBrainAge."""

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.inputs = InputsPanel(ui, self._node, self.update)
        self.results = ResultsPanel(ui, logic, self._node, onChosen=self._onChosen)
        boxes = {
            "nifti": ui.exportNiftiCheckBox,
            "csv": ui.exportCsvCheckBox,
            "html": ui.exportHtmlCheckBox,
            "json": ui.exportJsonCheckBox,
        }
        self.exports = ExportPanel(ui, self.results.result, boxes, exportResult)
        self.run = RunPanel(
            ui,
            logic,
            requester="NeonatalBrainAge",
            applyTip=_("Read the brain age from the regions"),
            missing=self.inputs.missing,
            start=self._start,
            stageText=lambda stage: stageText(stage, STAGES),
            onResult=self.results.choose,
        )

    def offerInput(self) -> None:
        """Where nothing was chosen and no result is shown, choose the first segmentation that is no result of ours."""
        if self.parameterNode.GetNodeReference(INPUT) is not None or self.results.result() is not None:
            return
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if not isOfResult(node):
                self.parameterNode.SetNodeReferenceID(INPUT, node.GetID())
                return

    def _start(self, **callbacks) -> None:
        self.logic.start(self.inputs.inputNode(), self.inputs.settings(), **callbacks)

    def _onChosen(self) -> None:
        self.exports.update()
        self.ui.chartMessageLabel.text = ""
