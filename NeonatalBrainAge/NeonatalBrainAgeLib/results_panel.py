"""The lower part of the panel: which result, its age, warnings, coloring, charts and the table of regions."""

from collections.abc import Callable
from dataclasses import replace

import slicer

from NeonatalBrainAgeLib import coloring
from NeonatalBrainAgeLib.choices import COLORING_TITLES, FEATURE_TITLES
from NeonatalBrainAgeLib.region_table import RegionTable
from NeonatalBrainAgeLib.result import Result, allResults
from NeonatalBrainAgeLib.settings import RESULT, ViewSettings
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameters import readSettings, writeSettings


class ResultsPanel:
    """Shows the chosen result; rows lead to regions, buttons to charts."""

    def __init__(self, ui, logic, parameterNode: Callable[[], object], *, onChosen: Callable[[], None]) -> None:
        """`onChosen()` follows another result."""
        self.ui = ui
        self._logic = logic
        self._parameterNode = parameterNode
        self._onChosen = onChosen
        self._updating = False
        self._shown: str | None = None
        self._table = RegionTable(ui.regionTable, self._onRegion)
        self._region: int | None = None
        for combo, titles in ((ui.colorComboBox, COLORING_TITLES), (ui.featureComboBox, FEATURE_TITLES)):
            for value, title in titles.items():
                combo.addItem(title, value)
        self._connect()

    def result(self) -> Result | None:
        """The chosen result."""
        node = self._parameterNode()
        table = node.GetNodeReference(RESULT) if node is not None else None
        return Result(table) if table is not None and slicer.mrmlScene.IsNodePresent(table) else None

    def view(self) -> ViewSettings:
        """How results are shown."""
        return readSettings(self._parameterNode(), ViewSettings)

    def choose(self, result: Result | None) -> None:
        """Make a result the shown one, in the parameter node and in the views."""
        node = self._parameterNode()
        if node is not None:
            node.SetNodeReferenceID(RESULT, result.table.GetID() if result is not None else None)
        self._region = None
        self.update()
        self.show()
        self._onChosen()

    def show(self) -> None:
        """Bring the views to the chosen result."""
        result = self.result()
        chosen = result.table.GetID() if result is not None else None
        coloring.hideColors([other for other in allResults() if other.table.GetID() != chosen])
        if result is not None:
            coloring.showColors(result, self.view())

    def update(self) -> None:
        """Show the results of the scene and the chosen one."""
        if self._updating:
            return
        self._updating = True
        try:
            self._update(self.result())
        finally:
            self._updating = False

    def _update(self, result: Result | None) -> None:
        ui, view = self.ui, self.view()
        self._fillResults(result)
        for widget in (ui.viewFrame, ui.regionTable, ui.deleteResultButton, ui.exportCollapsibleButton):
            widget.enabled = result is not None
        ui.colorComboBox.setCurrentIndex(ui.colorComboBox.findData(view.colorBy))
        ui.featureComboBox.setCurrentIndex(ui.featureComboBox.findData(view.feature))
        ui.opacitySlider.value = view.opacity
        ui.show3DCheckBox.checked = view.show3D
        self._tell(result)
        chosen = result.table.GetID() if result is not None else None
        if chosen != self._shown:
            self._shown = chosen
            self._table.fill(result.rows() if result is not None else ())

    def _tell(self, result: Result | None) -> None:
        ui = self.ui
        try:
            record = result.record if result is not None else None
        except ValueError as error:
            ui.summaryLabel.text, ui.gapLabel.text, ui.warningsLabel.text = str(error), "", ""
            return
        ui.summaryLabel.text = record.summary if record is not None else _("No result yet.")
        ui.gapLabel.text = record.gap if record is not None else ""
        warnings = record.warnings if record is not None else ()
        ui.warningsLabel.text = "\n".join(_("Caution: {text}").format(text=text) for text in warnings)
        ui.gapLabel.visible = bool(ui.gapLabel.text)
        ui.warningsLabel.visible = bool(warnings)

    def _fillResults(self, chosen: Result | None) -> None:
        combo = self.ui.resultComboBox
        combo.clear()
        for result in allResults():
            combo.addItem(result.table.GetName(), result.table.GetID())
        combo.setCurrentIndex(combo.findData(chosen.table.GetID()) if chosen is not None else -1)
        combo.enabled = combo.count > 0

    def _connect(self) -> None:
        ui = self.ui
        ui.resultComboBox.connect("currentIndexChanged(int)", self._onResult)
        ui.colorComboBox.connect("currentIndexChanged(int)", self._onColoring)
        ui.featureComboBox.connect("currentIndexChanged(int)", self._onFeature)
        ui.opacitySlider.connect("valueChanged(double)", lambda value: self._change(opacity=value))
        ui.show3DCheckBox.connect("toggled(bool)", lambda on: self._change(show3D=on))
        ui.growthButton.connect("clicked(bool)", self._onGrowth)
        ui.importanceButton.connect("clicked(bool)", self._onImportance)
        ui.deleteResultButton.connect("clicked(bool)", self._onDelete)

    def _onResult(self, index: int) -> None:
        if not self._updating and index >= 0:
            node = slicer.mrmlScene.GetNodeByID(self.ui.resultComboBox.itemData(index))
            self.choose(Result(node) if node is not None else None)

    def _onColoring(self, index: int) -> None:
        if index >= 0:
            self._change(colorBy=self.ui.colorComboBox.itemData(index))

    def _onFeature(self, index: int) -> None:
        if index >= 0 and not self._updating:
            self._change(feature=self.ui.featureComboBox.itemData(index))
            if self._region is not None:
                self._showGrowth()

    def _change(self, **changes) -> None:
        node = self._parameterNode()
        if not self._updating and node is not None:
            writeSettings(node, replace(self.view(), **changes))
            self.update()
            self.show()

    def _onRegion(self, label: int) -> None:
        """A row was clicked: look at the region; its growth chart follows when one is shown."""
        result = self.result()
        if result is None:
            return
        self._region = label
        coloring.jumpToRegion(result, label)
        if result.node("growthChart") is not None:
            self._showGrowth()

    def _onGrowth(self, checked: bool = False) -> None:
        """The chart of the chosen region; of the one that differs most when none was chosen."""
        result = self.result()
        if result is not None and self._region is None:
            column = f"{self.view().feature}_z"
            self._region = max(result.rows(), key=lambda row: abs(row[column]))["label"]
            self._table.select(self._region)
        self._showGrowth()

    def _showGrowth(self) -> None:
        result = self.result()
        if result is None or self._region is None:
            return
        try:
            self._logic.showGrowth(result, self._region, self.view().feature)
        except (RuntimeError, ValueError) as error:
            self.ui.chartMessageLabel.text = str(error)
            return
        text = _("Charts show growth from 37 weeks on; before, infants born preterm, which is not a norm.")
        self.ui.chartMessageLabel.text = text

    def _onImportance(self, checked: bool = False) -> None:
        result = self.result()
        if result is not None:
            self._logic.showImportance(result)

    def _onDelete(self, checked: bool = False) -> None:
        result = self.result()
        if result is not None:
            result.remove()
            self.choose(next(iter(reversed(allResults())), None))
