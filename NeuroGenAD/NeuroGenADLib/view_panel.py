"""What the slice views show: input, pseudo-healthy or difference, the map over it, outlines, one or three beside."""

from collections.abc import Callable
from dataclasses import replace

import qt

from NeuroGenADLib import views
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import SHOWN, ViewSettings
from NeuroGenLib.parameters import readSettings, writeSettings

FIT_AFTER_MS = 100  # until the views of another layout have their sizes


class ViewPanel:
    """Keeps buttons, parameter node and slice views the same."""

    def __init__(self, ui, parameterNode: Callable[[], object], result: Callable[[], Result | None]) -> None:
        """`parameterNode()` and `result()` are the current ones, or None."""
        self.ui = ui
        self._parameterNode = parameterNode
        self._result = result
        self._updating = False
        self._fit = qt.QTimer()
        self._fit.setSingleShot(True)
        self._fit.setInterval(FIT_AFTER_MS)
        self._fit.connect("timeout()", lambda: views.fitViews(self.settings()))
        self._buttons = dict(zip(SHOWN, (ui.showInputButton, ui.showHealthyButton, ui.showDifferenceButton)))
        for shown, button in self._buttons.items():
            button.connect("clicked(bool)", lambda on, shown=shown: self._change(shown=shown))
        ui.overlayCheckBox.connect("toggled(bool)", lambda on: self._change(overlay=on))
        ui.outlinesCheckBox.connect("toggled(bool)", lambda on: self._change(outlines=on))
        ui.opacitySlider.connect("valueChanged(double)", lambda value: self._change(opacity=value))
        ui.sideBySideButton.connect("toggled(bool)", lambda on: self._change(sideBySide=on))
        self.update()

    def settings(self) -> ViewSettings:
        """How results are shown."""
        node = self._parameterNode()
        return readSettings(node, ViewSettings) if node is not None else ViewSettings()

    def update(self) -> None:
        """Show what the parameter node holds; the slice views stay as they are."""
        settings = self.settings()
        self._updating = True
        for shown, button in self._buttons.items():
            button.checked = shown == settings.shown
        self.ui.overlayCheckBox.checked = settings.overlay
        self.ui.outlinesCheckBox.checked = settings.outlines
        self.ui.opacitySlider.value = settings.opacity
        self.ui.sideBySideButton.checked = settings.sideBySide
        self._updating = False

    def show(self, *, layout: bool = False) -> None:
        """Bring the slice views to the settings; `layout` switches between one and three volumes too."""
        result = self._result()
        if result is not None:
            views.showResult(result, self.settings(), layout=layout)

    def cleanup(self) -> None:
        """Stop waiting for the layout."""
        self._fit.stop()

    def _change(self, **changes) -> None:
        node = self._parameterNode()
        if self._updating or node is None:
            return
        before = self.settings()
        writeSettings(node, replace(before, **changes))
        self.update()
        isOther = before.sideBySide != self.settings().sideBySide
        self.show(layout=isOther)
        if isOther:
            self._fit.start()
