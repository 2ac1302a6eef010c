"""What the views show: the volume below, the map, outlines, surfaces; one volume, three or two methods beside."""

from collections.abc import Callable

import qt
import slicer

from NeuroGenADLib import views
from NeuroGenADLib.comparison import othersOf
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import COMPARED, SHOWN, ViewSettings
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import ownLayout
from NeuroGenLib.parameter_binding import ParameterBinding

FIT_AFTER_MS = 100  # until the views of another layout have their sizes
SURFACES_AFTER_MS = 300  # surfaces take longer than outlines: they wait until the threshold rests


class ViewPanel:
    """Keeps buttons, parameter node and slice views the same."""

    def __init__(self, ui, parameterNode: Callable[[], object], result: Callable[[], Result | None]) -> None:
        """`parameterNode()` and `result()` are the current ones, or None."""
        self.ui = ui
        self._result = result
        self._arrangement = ""  # in which the views were last shown
        self._fit = _timer(FIT_AFTER_MS, views.fitViews)
        self._surfaces = _timer(SURFACES_AFTER_MS, self._show3D)
        self._binding = binding = ParameterBinding(parameterNode, ViewSettings, self._onChanged)
        self._buttons = dict(zip(SHOWN, (ui.showInputButton, ui.showHealthyButton, ui.showDifferenceButton)))
        for shown, button in self._buttons.items():
            button.connect("clicked(bool)", lambda on, shown=shown: binding.change(shown=shown))
        ui.overlayCheckBox.connect("toggled(bool)", lambda on: binding.change(overlay=on, uncertainty=False))
        ui.uncertaintyCheckBox.connect("toggled(bool)", lambda on: binding.change(uncertainty=on))
        ui.sideBySideButton.connect("toggled(bool)", lambda on: binding.change(sideBySide=on, compared=False))
        binding.bindCheck(ui.outlinesCheckBox, "outlines")
        binding.bindCheck(ui.show3DCheckBox, "show3D")
        binding.bindNumber(ui.opacitySlider, "opacity")
        self.update()

    def settings(self) -> ViewSettings:
        """How results are shown."""
        return self._binding.settings

    def beside(self) -> Result | None:
        """The result that is compared with the shown one; None where nothing is."""
        result, node = self._result(), self._binding.node(COMPARED)
        if result is None or node is None or not self.settings().compared:
            return None
        return next((other for other in othersOf(result) if other.map.GetID() == node.GetID()), None)

    def compare(self, other: Result | None) -> None:
        """Show another method's result of the same scan beside the shown one, or that one alone again."""
        if other is not None:
            self._binding.refer(COMPARED, other.map)
        self._binding.change(compared=other is not None, sideBySide=False)

    def update(self) -> None:
        """Show what the parameter node holds; the slice views stay as they are."""
        self._binding.update(self._showState)

    def refresh(self) -> None:
        """What was shown may be gone: a comparison ends, and without any result the usual views come back."""
        if slicer.mrmlScene.IsClosing():
            return
        if self.settings().compared and self.beside() is None:
            self.compare(None)
        if self._result() is None and ownLayout():
            views.hideResults()

    def show(self, *, layout: bool = False) -> None:
        """Bring the slice views to the settings; `layout` switches to several volumes too."""
        result, settings, beside = self._result(), self.settings(), self.beside()
        if result is None:
            return
        if settings.compared and beside is None:
            self.compare(None)  # what was compared is gone, or of another scan
            return
        self._arrangement = self._wanted()
        layout = layout if self._arrangement else bool(ownLayout())  # leave alone what the user arranged
        views.showResult(result, settings, beside=beside, layout=layout)
        self._surfaces.start()

    def cleanup(self) -> None:
        """Stop waiting."""
        self._fit.stop()
        self._surfaces.stop()

    def _show3D(self) -> None:
        result = self._result()
        if result is not None and self.settings().show3D:
            views.show3D(result)

    def _wanted(self) -> str:
        """How the views are to be arranged."""
        if self.beside() is not None:
            return "compared"
        return "sideBySide" if self.settings().sideBySide else ""

    def _showState(self, settings: ViewSettings) -> None:
        ui, result, beside = self.ui, self._result(), self.beside()
        for shown, button in self._buttons.items():
            button.checked = shown == settings.shown
        isUncertain = result is not None and views.showsUncertainty(result, settings, beside=beside)
        ui.overlayCheckBox.checked = settings.overlay and not isUncertain
        ui.uncertaintyCheckBox.checked = isUncertain
        ui.uncertaintyLabel.visible = isUncertain
        ui.sideBySideButton.checked = self._wanted() == "sideBySide"
        reason = _whyNoUncertainty(result, beside)
        ui.uncertaintyCheckBox.enabled = not reason
        ui.uncertaintyCheckBox.toolTip = reason or _(
            "How far the methods disagree: the spread between their scores, in standard deviations of healthy brains"
        )

    def _onChanged(self) -> None:
        isOther = self._wanted() != self._arrangement
        self.update()
        self.show(layout=isOther)
        if isOther:
            self._fit.start()


def _whyNoUncertainty(result: Result | None, beside: Result | None) -> str:
    """Why no uncertainty map can be shown; empty where one can."""
    if result is None:
        return _("There is no result.")
    if result.node("uncertainty") is None:
        return _("This result is of one method. Choose the mean of several as method and apply it to see their spread.")
    return _("End the comparison to see the uncertainty map.") if beside is not None else ""


def _timer(milliseconds: int, onTimeout: Callable[[], None]):
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", onTimeout)
    return timer
