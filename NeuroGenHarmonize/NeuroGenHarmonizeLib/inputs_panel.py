"""The upper part of the panel: reference site, scans, and how to adapt."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from NeuroGenHarmonizeLib.choices import ADAPT_TITLES, PLANE_TITLES, STOP_TITLES, modelText, siteModels
from NeuroGenHarmonizeLib.settings import INPUTS, HarmonizeSettings
from NeuroGenLib.devices import deviceChoices
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameter_binding import ParameterBinding
from NeuroGenLib.scene_result import isOfResult


class InputsPanel:
    """Keeps the widgets and the parameter node the same; knows what is missing before a job can start."""

    def __init__(self, ui, parameterNode: Callable[[], object], onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `onChanged()` follows every change."""
        self.ui = ui
        self._parameterNode = parameterNode
        self._onChanged = onChanged
        self._binding = binding = ParameterBinding(parameterNode, HarmonizeSettings, onChanged)
        devices = {choice.value: choice.label for choice in deviceChoices(None)}
        for combo, name, titles in (
            (ui.adaptComboBox, "adapt", ADAPT_TITLES),
            (ui.stopComboBox, "stop", STOP_TITLES),
            (ui.planeComboBox, "plane", PLANE_TITLES),
            (ui.deviceComboBox, "device", devices),
            (ui.modelComboBox, "model", siteModels()),
        ):
            binding.fill(combo, titles)
            binding.bindChoice(combo, name)
        binding.bindNumber(ui.stepsSpinBox, "mostSteps")
        binding.bindCheck(ui.shadingCheckBox, "shading")
        binding.bindCheck(ui.togetherCheckBox, "together")
        binding.bindCheck(ui.ownCurveCheckBox, "ownCurve")
        binding.bindText(ui.segmenterLineEdit, "segmenter")
        ui.volumesList.connect("itemChanged(QListWidgetItem*)", self._onTicked)
        self.update()

    def settings(self) -> HarmonizeSettings:
        """What the next job will use."""
        return self._binding.settings

    def inputVolumes(self) -> list:
        """The chosen volumes that are in the scene."""
        node = self._parameterNode()
        count = node.GetNumberOfNodeReferences(INPUTS) if node is not None else 0
        found = [node.GetNthNodeReference(INPUTS, k) for k in range(count)]
        return [volume for volume in found if volume is not None and slicer.mrmlScene.IsNodePresent(volume)]

    def missing(self) -> str:
        """What is needed before scans can be harmonized; empty when nothing is."""
        settings = self.settings()
        if not self.inputVolumes():
            return _("Tick at least one T1-weighted brain scan. Scans ticked together are taken for one site.")
        if settings.model not in siteModels():
            return _("The model {name} is not installed. Add it under Models.").format(name=settings.model)
        if settings.stop == "entropy" and not Path(settings.segmenter).is_file():
            return _("To stop where a segmenter is surest, choose its TorchScript file.")
        return ""

    def fillModels(self) -> None:
        """List the models again, after one was installed or deleted."""
        self._binding.fill(self.ui.modelComboBox, siteModels())
        self.update()

    def update(self) -> None:
        """Show what the parameter node and the scene hold."""
        self._binding.update(self._show)

    def _show(self, settings: HarmonizeSettings) -> None:
        ui = self.ui
        self._fillVolumes()
        adapts = settings.adapt != "none"
        for widget in (ui.stopComboBox, ui.stepsSpinBox):
            widget.enabled = adapts
        ui.togetherCheckBox.enabled = settings.adapt != "scan"
        ui.segmenterLineEdit.enabled = adapts and settings.stop == "entropy"
        ui.modelLabel.text = modelText(settings.model) if settings.model in siteModels() else ""

    def _fillVolumes(self) -> None:
        """One line a volume that is no result of ours, ticked when chosen."""
        table = self.ui.volumesList
        chosen = {node.GetID() for node in self.inputVolumes()}
        table.clear()
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetClassName() != "vtkMRMLScalarVolumeNode" or isOfResult(node):
                continue
            item = qt.QListWidgetItem(node.GetName())
            item.setData(qt.Qt.UserRole, node.GetID())
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if node.GetID() in chosen else qt.Qt.Unchecked)
            table.addItem(item)

    def _onTicked(self, changed) -> None:
        node, table = self._parameterNode(), self.ui.volumesList
        if self._binding.isUpdating or node is None:
            return
        items = [table.item(k) for k in range(table.count)]
        ticked = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]
        wasModifying = node.StartModify()
        node.RemoveNodeReferenceIDs(INPUTS)
        for nodeId in ticked:
            node.AddNodeReferenceID(INPUTS, nodeId)
        node.EndModify(wasModifying)
        self._onChanged()
