"""The upper part of the panel: input, age at scan, infants to compare with, models, device."""

from collections.abc import Callable
from dataclasses import replace

import slicer

from NeonatalBrainAgeLib.choices import CHART_TITLES, ageModels, modelText, segmenters
from NeonatalBrainAgeLib.settings import INPUT, AgeJobSettings
from NeuroGenLib.devices import deviceChoices
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameters import readSettings, writeSettings


class InputsPanel:
    """Keeps the widgets and the parameter node the same; knows what is missing before a job can start."""

    def __init__(self, ui, parameterNode: Callable[[], object], onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `onChanged()` follows every change."""
        self.ui = ui
        self._parameterNode = parameterNode
        self._onChanged = onChanged
        self._updating = False
        self._fill(ui.chartsComboBox, CHART_TITLES)
        self._fill(ui.deviceComboBox, {choice.value: choice.label for choice in deviceChoices(None)})
        self.fillModels()
        self._connect()

    def settings(self) -> AgeJobSettings:
        """What the next job will use."""
        return readSettings(self._parameterNode(), AgeJobSettings)

    def inputNode(self):
        """The chosen segmentation or volume, or None."""
        node = self._parameterNode()
        found = node.GetNodeReference(INPUT) if node is not None else None
        return found if found is not None and slicer.mrmlScene.IsNodePresent(found) else None

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
        self._fill(self.ui.modelComboBox, ageModels())
        self._fill(self.ui.segmenterComboBox, segmenters())
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

    def _show(self, settings: AgeJobSettings) -> None:
        ui, node = self.ui, self.inputNode()
        if _idOf(ui.inputSelector.currentNode()) != _idOf(node):
            ui.inputSelector.setCurrentNode(node)
        ui.ageKnownCheckBox.checked = settings.isAgeKnown
        ui.ageSpinBox.enabled = settings.isAgeKnown
        ui.ageSpinBox.value = settings.ageWeeks
        for combo, name in self._combos():
            combo.setCurrentIndex(combo.findData(getattr(settings, name)))
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

    def _fill(self, combo, titles: dict[str, str]) -> None:
        wasUpdating, self._updating = self._updating, True
        combo.clear()
        for value, title in titles.items():
            combo.addItem(title, value)
        self._updating = wasUpdating

    def _connect(self) -> None:
        ui = self.ui
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onInput)
        ui.ageKnownCheckBox.connect("toggled(bool)", lambda on: self._change(isAgeKnown=on))
        ui.ageSpinBox.connect("valueChanged(double)", lambda value: self._change(ageWeeks=value))
        for combo, name in self._combos():
            combo.connect("currentIndexChanged(int)", lambda index, c=combo, n=name: self._onChoice(c, n, index))

    def _combos(self) -> tuple[tuple[object, str], ...]:
        """Each combo box and the setting that it shows."""
        ui = self.ui
        return (
            (ui.chartsComboBox, "charts"),
            (ui.modelComboBox, "model"),
            (ui.segmenterComboBox, "segmenter"),
            (ui.deviceComboBox, "device"),
        )

    def _onChoice(self, combo, name: str, index: int) -> None:
        if index >= 0:
            self._change(**{name: combo.itemData(index)})

    def _onInput(self, node) -> None:
        parameterNode = self._parameterNode()
        if not self._updating and parameterNode is not None:
            parameterNode.SetNodeReferenceID(INPUT, _idOf(node))
            self._onChanged()

    def _change(self, **changes) -> None:
        node = self._parameterNode()
        if not self._updating and node is not None:
            writeSettings(node, replace(self.settings(), **changes))
            self._onChanged()


def _idOf(node) -> str | None:
    return node.GetID() if node is not None else None
