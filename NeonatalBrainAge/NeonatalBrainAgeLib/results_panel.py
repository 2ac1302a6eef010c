"""The lower part of the panel: which result, its age, warnings, coloring, charts and the table of regions."""

from collections.abc import Callable

from NeonatalBrainAgeLib import coloring
from NeonatalBrainAgeLib.choices import COLORING_TITLES, FEATURE_TITLES
from NeonatalBrainAgeLib.region_table import RegionTable
from NeonatalBrainAgeLib.result import Result
from NeonatalBrainAgeLib.settings import RESULT, ViewSettings
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.parameter_binding import ParameterBinding
from NeuroGenLib.results_panel import ChosenResultPanel


class ResultsPanel(ChosenResultPanel):
    """Shows the chosen result; rows lead to regions, buttons to charts."""

    def __init__(self, ui, logic, parameterNode: Callable[[], object], *, onChosen: Callable[[], None]) -> None:
        """`onChosen()` follows another result."""
        super().__init__(ui, parameterNode, Result, reference=RESULT, deleteButton=ui.deleteResultButton)
        self._logic = logic
        self._onChosen = onChosen
        self._shown: str | None = None
        self._table = RegionTable(ui.regionTable, self._onRegion)
        self._region: int | None = None
        self._binding = binding = ParameterBinding(parameterNode, ViewSettings, self._onView)
        binding.fill(ui.colorComboBox, COLORING_TITLES)
        binding.fill(ui.featureComboBox, FEATURE_TITLES)
        binding.bindChoice(ui.colorComboBox, "colorBy")
        binding.bindChoice(ui.featureComboBox, "feature")
        binding.bindNumber(ui.opacitySlider, "opacity")
        binding.bindCheck(ui.show3DCheckBox, "show3D")
        ui.featureComboBox.connect("currentIndexChanged(int)", self._onFeature)
        ui.growthButton.connect("clicked(bool)", self._onGrowth)
        ui.importanceButton.connect("clicked(bool)", self._onImportance)

    def view(self) -> ViewSettings:
        """How results are shown."""
        return self._binding.settings

    def choose(self, result: Result | None) -> None:
        """Make a result the shown one; no region of it is chosen yet."""
        self._region = None
        super().choose(result)
        self._onChosen()

    def show(self) -> None:
        """Bring the views to the chosen result."""
        result = self.result()
        chosen = result.table.GetID() if result is not None else None
        coloring.hideColors([other for other in Result.all() if other.table.GetID() != chosen])
        if result is not None:
            coloring.showColors(result, self.view())

    def _show(self, result: Result | None) -> None:
        ui = self.ui
        for widget in (ui.viewFrame, ui.regionTable, ui.deleteResultButton, ui.exportCollapsibleButton):
            widget.enabled = result is not None
        self._binding.update()
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
            ui.summaryLabel.text, ui.gapLabel.text = str(error), ""
            self._showWarnings(())
            return
        ui.summaryLabel.text = record.summary if record is not None else _("No result yet.")
        ui.gapLabel.text = record.gap if record is not None else ""
        ui.gapLabel.visible = bool(ui.gapLabel.text)
        self._showWarnings(record.warnings if record is not None else ())

    def _onView(self) -> None:
        self.update()
        self.show()

    def _onFeature(self, index: int) -> None:
        """The growth chart of the chosen region follows."""
        if self._region is not None and not self._binding.isUpdating:
            self._showGrowth()

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
