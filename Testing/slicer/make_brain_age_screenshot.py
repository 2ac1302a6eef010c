"""Draw Screenshots/NeonatalBrainAge.png: python Testing/slicer/make_brain_age_screenshot.py [LABELS.nii.gz [OUT.png]]

Without a label map, a synthetic head: all regions as a pattern inside an ellipsoid. No picture of a real or averaged
brain is part of this repository, because the terms of the label maps at hand are not stated.
"""

import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing"), str(Path(__file__).parent)]

from make_screenshots import live, opened, picture, settle  # noqa: E402

SIZE = (1500, 1000)


def main(arguments: list[str]) -> int:
    """Write the picture; 1 and a reason where it cannot be drawn."""
    panel = opened("NeonatalBrainAge")
    if panel is None:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(arguments[0]) if arguments else synthetic(Path(folder))
        out = Path(arguments[1]) if len(arguments) > 1 else REPOSITORY / "Screenshots" / "NeonatalBrainAge.png"
        draw(panel, labels, out)
    return 0


def synthetic(folder: Path) -> Path:
    """A head with all regions, as a label map."""
    import numpy as np
    from builders import as_head, blobs

    from neurogen.volumes import save_volume

    head = as_head(blobs(), head_ml=70)
    save_volume(head.with_array(head.array.astype(np.uint8)), folder / "synthetic_dseg.nii.gz")
    return folder / "synthetic_dseg.nii.gz"


def draw(panel: object, labels: Path, out: Path) -> None:
    """From the label map to the regions in color."""
    import slicer

    from Testing.host.window import MainWindow

    window = MainWindow()
    window.showPanel("NeuroGen Neonatal Brain Age", panel.parent)
    window.resize(*SIZE)
    panel.ui.inputSelector.setCurrentNode(slicer.util.loadLabelVolume(str(labels)))
    panel.ui.ageKnownCheckBox.checked = True
    panel.ui.ageSpinBox.value = 38.0
    panel.ui.applyButton.click()
    live(lambda: not panel.logic.isRunning)
    panel.ui.inputsCollapsibleButton.collapsed = True
    panel.ui.show3DCheckBox.checked = True
    panel.ui.growthButton.click()
    settle()
    picture(window, out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
