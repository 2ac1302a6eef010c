"""The panel as a whole: its parts, and what they tell each other."""

from NeuroGenHarmonizeLib.choices import stageTitle
from NeuroGenHarmonizeLib.inputs_panel import InputsPanel
from NeuroGenHarmonizeLib.results_panel import ResultsPanel
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.module_panel import ModulePanel
from NeuroGenLib.run_panel import RunPanel


class Panel(ModulePanel):
    """The panel of NeuroGenHarmonize."""

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.inputs = InputsPanel(ui, self._node, self.update)
        self.results = ResultsPanel(ui, self._node)
        self.run = RunPanel(
            ui,
            logic,
            requester="NeuroGenHarmonize",
            applyTip=_("Harmonize the ticked scans"),
            missing=self.inputs.missing,
            start=self._start,
            stageText=stageTitle,
            onResult=self.results.choose,
        )

    def _start(self, **callbacks) -> None:
        self.logic.start(self.inputs.inputVolumes(), self.inputs.settings(), **callbacks)
