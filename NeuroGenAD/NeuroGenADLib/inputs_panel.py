"""The upper part of the panel: scan, mask, method, model, device and the advanced settings."""

from collections.abc import Callable

from neurogen.anomaly import DetectionSettings
from NeuroGenADLib.choices import ModelChoice, anomalyModels
from NeuroGenADLib.settings import INPUT, MASK
from NeuroGenLib.devices import Doctor, deviceChoices
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameter_binding import ParameterBinding


class InputsPanel:
    """Keeps the widgets and the parameter node the same; knows what is missing before a job can start."""

    def __init__(self, ui, parameterNode: Callable[[], object], onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `onChanged()` follows every change."""
        self.ui = ui
        self._binding = ParameterBinding(parameterNode, DetectionSettings, onChanged)
        self._models: tuple[ModelChoice, ...] = ()
        self._doctor: Doctor | None = None
        self._bind()
        self.fillModels()

    def settings(self) -> DetectionSettings:
        """What the next job will use."""
        return self._binding.settings

    def inputVolume(self):
        """The chosen scan, or None."""
        return self._binding.node(INPUT)

    def mask(self):
        """The chosen brain mask, or None."""
        return self._binding.node(MASK)

    @property
    def models(self) -> tuple[ModelChoice, ...]:
        """The models that are offered."""
        return self._models

    def chosen(self) -> ModelChoice | None:
        """The chosen model, or models; None where what the scene asks for is not installed."""
        settings = self.settings()
        return next((model for model in self._models if model.chosenBy(settings)), None)

    def missing(self) -> str:
        """What is needed before the scan can be examined; empty when nothing is."""
        if self.inputVolume() is None:
            return _("Choose the scan to examine: a T1-weighted head scan of an adult.")
        if not self._models:
            return _("No model for this task is installed. Add one under Models.")
        if self.chosen() is None:
            names = ", ".join((self.settings().model, *self.settings().ensemble))
            return _("The model {names} of this scene is not installed. Choose another, or add it.").format(names=names)
        return ""

    def fillModels(self) -> None:
        """List methods and models again, after one was installed or deleted."""
        self._models = anomalyModels()
        self._binding.fill(self.ui.methodComboBox, {model.method: model.methodTitle for model in self._models})
        self.update()

    def fillDevices(self, doctor: Doctor) -> None:
        """The answer of the doctor tells which devices there are, and why not the others."""
        self._doctor = doctor
        self.update()

    def update(self) -> None:
        """Show what the parameter node holds."""
        self._binding.update(self._show)

    def _bind(self) -> None:
        ui, binding = self.ui, self._binding
        binding.bindNode(ui.inputSelector, INPUT)
        binding.bindNode(ui.maskSelector, MASK)
        ui.methodComboBox.connect("currentIndexChanged(int)", self._onMethod)
        ui.modelComboBox.connect("currentIndexChanged(int)", self._onModel)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._onDevice)
        binding.bindCheck(ui.registeredCheckBox, "registered")
        binding.bindCheck(ui.biasCorrectionCheckBox, "bias_correction")
        binding.bindNumber(ui.stepsSpinBox, "steps")
        binding.bindNumber(ui.batchSizeSpinBox, "batch_size")

    def _show(self, settings: DetectionSettings) -> None:
        ui, chosen = self.ui, self.chosen()
        if chosen is not None:
            ui.methodComboBox.setCurrentIndex(ui.methodComboBox.findData(chosen.method))
        self._showModelsOf(chosen.method if chosen is not None else self._currentMethod(), chosen)
        ui.modelLabel.text = chosen.description if chosen is not None else ""
        self._showDevices(settings.device)

    def _showModelsOf(self, method: str, chosen: ModelChoice | None) -> None:
        combo = self.ui.modelComboBox
        self._binding.fill(combo, {model.key: model.title for model in self._models if model.method == method})
        combo.setCurrentIndex(combo.findData(chosen.key) if chosen is not None else -1)

    def _showDevices(self, device: str) -> None:
        """The devices that are there, and the chosen one with the reason for or against it."""
        choices, combo = deviceChoices(self._doctor), self.ui.deviceComboBox
        offered = [choice for choice in choices if choice.isAvailable or choice.value == device]
        self._binding.fill(combo, {choice.value: choice.label for choice in offered})
        combo.setCurrentIndex(combo.findData(device))
        reasons = {choice.value: choice.reason for choice in choices} if self._doctor is not None else {}
        self.ui.deviceLabel.text = reasons.get(device, "")

    def _onMethod(self, index: int) -> None:
        if not self._binding.isUpdating and index >= 0:
            method = self._currentMethod()
            self._choose(next(model for model in self._models if model.method == method))

    def _onModel(self, index: int) -> None:
        if not self._binding.isUpdating and index >= 0:
            key = self.ui.modelComboBox.itemData(index)
            self._choose(next(model for model in self._models if model.key == key))

    def _choose(self, choice: ModelChoice) -> None:
        self._binding.change(model=choice.ids[0], ensemble=choice.ids[1:])

    def _onDevice(self, index: int) -> None:
        if index >= 0:
            self._binding.change(device=self.ui.deviceComboBox.itemData(index))

    def _currentMethod(self) -> str:
        return self.ui.methodComboBox.itemData(self.ui.methodComboBox.currentIndex) or ""
