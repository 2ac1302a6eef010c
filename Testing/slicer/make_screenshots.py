"""Draw the pictures of Screenshots/: `make screenshots`. Panel and views as the test host shows them.

The scan of NeuroGenAD is the demo case, the ICBM152 template with a planted lesion, examined by the shipped model:
minutes. That of NeuroGenHarmonize is the template as a scanner with another contrast and a strong coil might show it.
"""

import sys
import tempfile
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


def main(module: str, folder: Path) -> int:
    """Write the pictures of a module; 1 and a reason where they cannot be drawn."""
    panel = opened(module)
    if panel is None:
        return 1
    from Testing.host.window import MainWindow

    title, pictures = MODULES[module]
    window = MainWindow()
    window.showPanel(title, panel.parent)
    window.resize(*SIZE)
    for one in pictures:
        one(panel, window, folder)
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


def harmonized(panel: object, window: object, folder: Path) -> None:
    """A scan of another scanner from its tick to the checkerboard of before and after."""
    import qt
    import slicer

    with tempfile.TemporaryDirectory() as work:
        slicer.util.loadVolume(str(other_scanner(Path(work) / "other_scanner_T1w.nii.gz")))
    live(lambda: panel.ui.volumesList.count > 0)
    panel.ui.volumesList.item(0).setCheckState(qt.Qt.Checked)
    panel.ui.applyButton.click()
    live(lambda: not panel.logic.isRunning)
    combo = panel.ui.compareComboBox
    combo.setCurrentIndex(combo.findData("checkerboard"))
    picture(window, folder / "NeuroGenHarmonize.png")


def other_scanner(path: Path) -> Path:
    """Write the template with another contrast (x^0.6) under a receive coil at the back of the head."""
    import numpy as np

    from neurogen.evaluation.harmonize_scanners import coil_profile
    from neurogen.preprocess.template import template_t1
    from neurogen.volumes import Volume, save_volume

    template = template_t1()
    image = np.clip(template.array / template.array.max(), 0, 1)
    shown = image**0.6 * coil_profile(image.shape)
    save_volume(Volume((1000 * shown).astype(np.int16), template.affine), path)
    return path


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


MODULES = {
    "NeuroGenAD": ("NeuroGen Anomaly Detection", (examined, compared, uncertain)),
    "NeuroGenHarmonize": ("NeuroGen Harmonization", (harmonized,)),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], REPOSITORY / "Screenshots"))
