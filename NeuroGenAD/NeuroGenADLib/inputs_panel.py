"""The upper part of the panel: scan, mask, method, model, device and the advanced settings."""

from collections.abc import Callable
from dataclasses import replace

import slicer

from neurogen.anomaly import DetectionSettings
from NeuroGenADLib.choices import ModelChoice, anomalyModels
from NeuroGenADLib.settings import INPUT, MASK
from NeuroGenLib.devices import Doctor, deviceChoices
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameters import readSettings, writeSettings


class InputsPanel:
    """Keeps the widgets and the parameter node the same; knows what is missing before a job can start."""

    def __init__(self, ui, parameterNode: Callable[[], object], onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `onChanged()` follows every change."""
        self.ui = ui
        self._parameterNode = parameterNode
        self._onChanged = onChanged
        self._models: tuple[ModelChoice, ...] = ()
        self._updating = False
        self.fillDevices(None)
        self.fillModels()
        self._connect()

    def settings(self) -> DetectionSettings:
        """What the next job will use."""
        node = self._parameterNode()
        return readSettings(node, DetectionSettings) if node is not None else DetectionSettings()

    def inputVolume(self):
        """The chosen scan, or None."""
        return self._reference(INPUT)

    def mask(self):
        """The chosen brain mask, or None."""
        return self._reference(MASK)

    def missing(self) -> str:
        """What is needed before the scan can be examined; empty when nothing is."""
        if self.inputVolume() is None:
            return _("Choose the scan to examine: a T1-weighted head scan of an adult.")
        if not self._models:
            return _("No model for this task is installed. Add one under Models.")
        if self._chosen() is None:
            names = ", ".join((self.settings().model, *self.settings().ensemble))
            return _("The model {names} of this scene is not installed. Choose another, or add it.").format(names=names)
        return ""

    def fillModels(self) -> None:
        """List methods and models again, after one was installed or deleted."""
        self._models = anomalyModels()
        wasUpdating, self._updating = self._updating, True
        self.ui.methodComboBox.clear()
        for method, title in dict((model.method, model.methodTitle) for model in self._models).items():
            self.ui.methodComboBox.addItem(title, method)
        self._updating = wasUpdating
        self.update()

    def fillDevices(self, doctor: Doctor | None) -> None:
        """List the devices; the answer of the doctor tells which there are, and why not the others."""
        choices = deviceChoices(doctor)
        self._deviceReasons = {choice.value: choice.reason for choice in choices} if doctor is not None else {}
        wasUpdating, self._updating = self._updating, True
        self.ui.deviceComboBox.clear()
        for choice in choices:
            if choice.isAvailable or choice.value == self.settings().device:
                self.ui.deviceComboBox.addItem(choice.label, choice.value)
        self._updating = wasUpdating
        self.update()

    def update(self) -> None:
        """Show what the parameter node holds."""
        if self._updating:
            return
        self._updating = True
        try:
            self._show(self.settings())
        finally:
            self._updating = False

    def _show(self, settings: DetectionSettings) -> None:
        ui = self.ui
        for selector, role in ((ui.inputSelector, INPUT), (ui.maskSelector, MASK)):
            node = self._reference(role)
            if _idOf(selector.currentNode()) != _idOf(node):
                selector.setCurrentNode(node)
        chosen = self._chosen()
        if chosen is not None:
            ui.methodComboBox.setCurrentIndex(ui.methodComboBox.findData(chosen.method))
        self._fillModelsOf(chosen.method if chosen is not None else self._currentMethod(), chosen)
        ui.modelLabel.text = chosen.description if chosen is not None else ""
        ui.deviceComboBox.setCurrentIndex(max(ui.deviceComboBox.findData(settings.device), 0))
        ui.deviceLabel.text = self._deviceReasons.get(settings.device, "")
        ui.registeredCheckBox.checked = settings.registered
        ui.biasCorrectionCheckBox.checked = settings.bias_correction
        ui.stepsSpinBox.value = settings.steps
        ui.batchSizeSpinBox.value = settings.batch_size

    def _fillModelsOf(self, method: str, chosen: ModelChoice | None) -> None:
        combo = self.ui.modelComboBox
        combo.clear()
        for model in self._models:
            if model.method == method:
                combo.addItem(model.title, model.key)
        combo.setCurrentIndex(combo.findData(chosen.key) if chosen is not None else -1)

    def _connect(self) -> None:
        ui = self.ui
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._refer(INPUT, node))
        ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._refer(MASK, node))
        ui.methodComboBox.connect("currentIndexChanged(int)", self._onMethod)
        ui.modelComboBox.connect("currentIndexChanged(int)", self._onModel)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._onDevice)
        ui.registeredCheckBox.connect("toggled(bool)", lambda on: self._change(registered=on))
        ui.biasCorrectionCheckBox.connect("toggled(bool)", lambda on: self._change(bias_correction=on))
        ui.stepsSpinBox.connect("valueChanged(int)", lambda value: self._change(steps=value))
        ui.batchSizeSpinBox.connect("valueChanged(int)", lambda value: self._change(batch_size=value))

    def _onMethod(self, index: int) -> None:
        if not self._updating and index >= 0:
            method = self._currentMethod()
            self._choose(next(model for model in self._models if model.method == method))

    def _onModel(self, index: int) -> None:
        if not self._updating and index >= 0:
            key = self.ui.modelComboBox.itemData(index)
            self._choose(next(model for model in self._models if model.key == key))

    def _choose(self, choice: ModelChoice) -> None:
        self._change(model=choice.ids[0], ensemble=choice.ids[1:])

    def _onDevice(self, index: int) -> None:
        if index >= 0:
            self._change(device=self.ui.deviceComboBox.itemData(index))

    def _change(self, **changes) -> None:
        node = self._parameterNode()
        if not self._updating and node is not None:
            writeSettings(node, replace(self.settings(), **changes))
            self._onChanged()

    def _refer(self, role: str, node) -> None:
        parameterNode = self._parameterNode()
        if not self._updating and parameterNode is not None:
            parameterNode.SetNodeReferenceID(role, _idOf(node))
            self._onChanged()

    def _reference(self, role: str):
        node = self._parameterNode()
        found = node.GetNodeReference(role) if node is not None else None
        return found if found is not None and slicer.mrmlScene.IsNodePresent(found) else None

    def _chosen(self) -> ModelChoice | None:
        settings = self.settings()
        return next((model for model in self._models if model.chosenBy(settings)), None)

    def _currentMethod(self) -> str:
        return self.ui.methodComboBox.itemData(self.ui.methodComboBox.currentIndex) or ""


def _idOf(node) -> str | None:
    return node.GetID() if node is not None else None
