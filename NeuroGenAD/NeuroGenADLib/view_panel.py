"""What the slice views show: input, pseudo-healthy or difference, the map over it, outlines, one or three beside."""

from collections.abc import Callable

import qt

from NeuroGenADLib import views
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import SHOWN, ViewSettings
from NeuroGenLib.parameter_binding import ParameterBinding

FIT_AFTER_MS = 100  # until the views of another layout have their sizes


class ViewPanel:
    """Keeps buttons, parameter node and slice views the same."""

    def __init__(self, ui, parameterNode: Callable[[], object], result: Callable[[], Result | None]) -> None:
        """`parameterNode()` and `result()` are the current ones, or None."""
        self._result = result
        self._isSideBySide = False
        self._fit = qt.QTimer()
        self._fit.setSingleShot(True)
        self._fit.setInterval(FIT_AFTER_MS)
        self._fit.connect("timeout()", lambda: views.fitViews(self.settings()))
        self._binding = binding = ParameterBinding(parameterNode, ViewSettings, self._onChanged)
        self._buttons = dict(zip(SHOWN, (ui.showInputButton, ui.showHealthyButton, ui.showDifferenceButton)))
        for shown, button in self._buttons.items():
            button.connect("clicked(bool)", lambda on, shown=shown: self._binding.change(shown=shown))
        binding.bindCheck(ui.overlayCheckBox, "overlay")
        binding.bindCheck(ui.outlinesCheckBox, "outlines")
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

    def cleanup(self) -> None:
        """Stop waiting for the layout."""
        self._fit.stop()

    def _showButtons(self, settings: ViewSettings) -> None:
        for shown, button in self._buttons.items():
            button.checked = shown == settings.shown

    def _onChanged(self) -> None:
        isOther = self.settings().sideBySide != self._isSideBySide
        self.update()
        self.show(layout=isOther)
        if isOther:
            self._fit.start()
