"""What the views show: input, pseudo-healthy or difference, map, outlines, surfaces; one volume or three beside."""

from collections.abc import Callable

import qt

from NeuroGenADLib import views
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import SHOWN, ViewSettings
from NeuroGenLib.parameter_binding import ParameterBinding

FIT_AFTER_MS = 100  # until the views of another layout have their sizes
SURFACES_AFTER_MS = 300  # surfaces take longer than outlines: they wait until the threshold rests


class ViewPanel:
    """Keeps buttons, parameter node and slice views the same."""

    def __init__(self, ui, parameterNode: Callable[[], object], result: Callable[[], Result | None]) -> None:
        """`parameterNode()` and `result()` are the current ones, or None."""
        self._result = result
        self._isSideBySide = False
        self._fit = _timer(FIT_AFTER_MS, lambda: views.fitViews(self.settings()))
        self._surfaces = _timer(SURFACES_AFTER_MS, self._show3D)
        self._binding = binding = ParameterBinding(parameterNode, ViewSettings, self._onChanged)
        self._buttons = dict(zip(SHOWN, (ui.showInputButton, ui.showHealthyButton, ui.showDifferenceButton)))
        for shown, button in self._buttons.items():
            button.connect("clicked(bool)", lambda on, shown=shown: self._binding.change(shown=shown))
        binding.bindCheck(ui.overlayCheckBox, "overlay")
        binding.bindCheck(ui.outlinesCheckBox, "outlines")
        binding.bindCheck(ui.show3DCheckBox, "show3D")
        binding.bindNumber(ui.opacitySlider, "opacity")
        binding.bindCheck(ui.sideBySideButton, "sideBySide")
        self.update()

    def settings(self) -> ViewSettings:
        """How results are shown."""
        return self._binding.settings

    def update(self) -> None:
        """Show what the parameter node holds; the slice views stay as they are."""
        self._binding.update(self._showButtons)

    def show(self, *, layout: bool = False) -> None:
        """Bring the slice views to the settings; `layout` switches between one and three volumes too."""
        result, settings = self._result(), self.settings()
        self._isSideBySide = settings.sideBySide
        if result is not None:
            views.showResult(result, settings, layout=layout)
            self._surfaces.start()

    def cleanup(self) -> None:
        """Stop waiting."""
        self._fit.stop()
        self._surfaces.stop()

    def _show3D(self) -> None:
        result = self._result()
        if result is not None and self.settings().show3D:
            views.show3D(result)

    def _showButtons(self, settings: ViewSettings) -> None:
        for shown, button in self._buttons.items():
            button.checked = shown == settings.shown

    def _onChanged(self) -> None:
        isOther = self.settings().sideBySide != self._isSideBySide
        self.update()
        self.show(layout=isOther)
        if isOther:
            self._fit.start()


def _timer(milliseconds: int, onTimeout: Callable[[], None]):
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", onTimeout)
    return timer
