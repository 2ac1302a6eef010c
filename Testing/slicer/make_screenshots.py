"""Draw the pictures of Screenshots/: `make screenshots`. Panel and views as the test host shows them.

The scan is the demo case, the ICBM152 template with a planted lesion, examined by the shipped model: minutes.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from Testing import host  # noqa: E402

NOTE = (
    "Made in the project's test host: genuine Slicer libraries, stand-ins for Slicer's own widgets. Research use only."
)
SIZE = (1500, 1000)


def main(folder: Path) -> int:
    """Write the pictures; 1 and a reason where they cannot be drawn."""
    panel = opened("NeuroGenAD")
    if panel is None:
        return 1
    from Testing.host.window import MainWindow

    window = MainWindow()
    window.showPanel("NeuroGen Anomaly Detection", panel.parent)
    window.resize(*SIZE)
    examined(panel, window, folder)
    compared(panel, window, folder)
    uncertain(panel, window, folder)
    return 0


def opened(module: str) -> object | None:
    """The panel of a module, beside views that are drawn; None, and a reason on stderr, where nothing can be."""
    reason = host.missing()
    if not reason:
        application = host.install()
        from Testing.host import offscreen, scripted

        reason = "" if offscreen.canRender() else "VTK can draw no picture here: install EGL."
    if reason:
        print(reason, file=sys.stderr)
        return None
    application.layoutManager().openViews()
    scripted.load_module(REPOSITORY / module / f"{module}.py")
    return scripted.enter(module)


def examined(panel: object, window: object, folder: Path) -> None:
    """The demo case from its button to its regions."""
    panel.ui.demoButton.click()
    live(lambda: panel.ui.inputSelector.currentNode() is not None)
    panel.ui.applyButton.click()
    live(lambda: panel.ui.progressBar.value >= 50 or not panel.logic.isRunning)
    picture(window, folder / "NeuroGenAD-running.png")
    live(lambda: not panel.logic.isRunning)
    picture(window, folder / "NeuroGenAD.png")
    panel.ui.sideBySideButton.click()
    window.arrange()
    picture(window, folder / "NeuroGenAD-side-by-side.png")
    panel.ui.sideBySideButton.click()
    window.arrange()


def compared(panel: object, window: object, folder: Path) -> None:
    """The second method, run by the button that compares."""
    panel.ui.compareButton.click()
    live(lambda: panel.ui.compareButton.checked or not panel.logic.isRunning)
    window.arrange()
    picture(window, folder / "NeuroGenAD-compared.png")
    panel.ui.compareButton.click()
    window.arrange()


def uncertain(panel: object, window: object, folder: Path) -> None:
    """The mean of all methods, and how far they disagree."""
    combo = panel.ui.methodComboBox
    combo.setCurrentIndex(combo.findData("mean"))
    panel.ui.applyButton.click()
    live(lambda: not panel.logic.isRunning)
    panel.ui.uncertaintyCheckBox.click()
    picture(window, folder / "NeuroGenAD-uncertainty.png")


def picture(window: object, path: Path) -> None:
    """One labelled picture of the whole window, the heads fitted into the views at the slices where they are."""
    import slicer

    window.statusBar().showMessage(NOTE)
    window.show()
    settle()
    manager = slicer.app.layoutManager()
    widgets = [manager.sliceWidget(name) for name in manager.sliceViewNames()]  # also those of other layouts
    offsets = {widget: widget.sliceLogic().GetSliceOffset() for widget in widgets}
    manager.resetSliceViews()
    for widget, offset in offsets.items():
        widget.sliceLogic().SetSliceOffset(offset)
    window.refreshTitles()
    host.grab(window, path, SIZE)
    print(path)


def live(condition: Callable[[], object]) -> None:
    """Let the application live until the condition holds."""
    while not condition():
        settle(0.05)


def settle(seconds: float = 1.2) -> None:
    """Let timers and the flashing of segments come to rest."""
    import slicer

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(REPOSITORY / "Screenshots"))
