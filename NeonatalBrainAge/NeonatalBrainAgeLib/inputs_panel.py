"""The upper part of the panel: input, age at scan, infants to compare with, models, device."""

from collections.abc import Callable

from NeonatalBrainAgeLib.choices import CHART_TITLES, ageModels, modelText, segmenters
from NeonatalBrainAgeLib.settings import INPUT, AgeJobSettings
from NeuroGenLib.devices import deviceChoices
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameter_binding import ParameterBinding


class InputsPanel:
    """Keeps the widgets and the parameter node the same; knows what is missing before a job can start."""

    def __init__(self, ui, parameterNode: Callable[[], object], onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `onChanged()` follows every change."""
        self.ui = ui
        self._binding = binding = ParameterBinding(parameterNode, AgeJobSettings, onChanged)
        binding.fill(ui.chartsComboBox, CHART_TITLES)
        binding.fill(ui.deviceComboBox, {choice.value: choice.label for choice in deviceChoices(None)})
        binding.bindNode(ui.inputSelector, INPUT)
        binding.bindCheck(ui.ageKnownCheckBox, "isAgeKnown")
        binding.bindNumber(ui.ageSpinBox, "ageWeeks")
        binding.bindChoice(ui.chartsComboBox, "charts")
        binding.bindChoice(ui.modelComboBox, "model")
        binding.bindChoice(ui.segmenterComboBox, "segmenter")
        binding.bindChoice(ui.deviceComboBox, "device")
        self.fillModels()

    def settings(self) -> AgeJobSettings:
        """What the next job will use."""
        return self._binding.settings

    def inputNode(self):
        """The chosen segmentation or volume, or None."""
        return self._binding.node(INPUT)

    def needsSegmenter(self) -> bool:
        """Whether the input is an image, whose regions have to be found."""
        node = self.inputNode()
        return node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode"

    def missing(self) -> str:
        """What is needed before the age can be read; empty when nothing is."""
        settings = self.settings()
        if self.inputNode() is None:
            return _("Choose a segmentation or label map with 87 regions, or a brain-extracted T2w scan of a newborn.")
        if settings.model not in ageModels():
            return _("The age model {name} is not installed. Add it under Models.").format(name=settings.model)
        if self.needsSegmenter() and settings.segmenter not in segmenters():
            text = _("The model {name}, which finds regions in a scan, is not installed. Add it under Models.")
            return text.format(name=settings.segmenter)
        return ""

    def fillModels(self) -> None:
        """List the models again, after one was installed or deleted."""
        self._binding.fill(self.ui.modelComboBox, ageModels())
        self._binding.fill(self.ui.segmenterComboBox, segmenters())
        self.update()

    def update(self) -> None:
        """Show what the parameter node holds."""
        self._binding.update(self._show)

    def _show(self, settings: AgeJobSettings) -> None:
        ui = self.ui
        ui.ageSpinBox.enabled = settings.isAgeKnown
        ui.segmenterComboBox.enabled = ui.deviceComboBox.enabled = self.needsSegmenter()
        ui.inputLabel.text = self._inputText(settings)

    def _inputText(self, settings: AgeJobSettings) -> str:
        if self.inputNode() is None:
            return ""
        if not self.needsSegmenter():
            return _("The regions of this input are measured as they are.")
        if settings.segmenter not in segmenters():
            return ""
        text = _("The regions are found first, by a network; a checked segmentation is better. {model}")
        return text.format(model=modelText(settings.segmenter))
