"""One detection in the scene: the anomaly map, and references from it to all that belongs to it."""

from pathlib import Path

import numpy as np
import slicer

from NeuroGenADLib.brain_surface import brainModel
from NeuroGenADLib.record import DetectionRecord
from NeuroGenADLib.recut import CutSettings, Recutter
from NeuroGenADLib.regions import regionLookup
from NeuroGenLib.display import sameWindow, setWindow
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import (
    addToFolder,
    importVolume,
    newSegmentation,
    nodesInFolder,
    removeFolder,
    resultFolder,
    stamp,
)
from NeuroGenLib.scene_result import ROLE, SceneResult

MAP = "anomalyMap"
_CUT = "NeuroGen.cut"
WINDOW_PERCENTILE = 99.5  # of the difference: the gray scale ends there, symmetric about 0
SAMPLED = 7  # every so many voxels are enough for it


class Result(SceneResult):
    """A detection, seen from its anomaly map.

    Roles: input, pseudoHealthy, difference, lesions, brain (its outline in 3D), table, record, report; of several
    methods also uncertainty, how far they disagree.
    """

    ANCHOR_CLASS, ANCHOR_ROLE = "vtkMRMLScalarVolumeNode", MAP

    @property
    def map(self):
        """The anchor: signed healthy standard deviations."""
        return self.anchor

    @property
    def record(self) -> DetectionRecord:
        """What made it. Raises ValueError when the record was deleted or changed."""
        node = self.node("record")
        if node is None:
            raise ValueError(
                _("The record of {name} was deleted; it cannot be cut again.").format(name=self.map.GetName())
            )
        return DetectionRecord.fromText(node.GetText())

    @property
    def cut(self) -> CutSettings:
        """Where its lesions are cut now."""
        text = self.map.GetAttribute(_CUT)
        if not text:
            return self.record.defaultCut
        threshold, direction, minimumMl = text.split()
        return CutSettings(float(threshold), direction, float(minimumMl))

    @cut.setter
    def cut(self, settings: CutSettings) -> None:
        self.map.SetAttribute(_CUT, f"{settings.threshold!r} {settings.direction} {settings.minimumMl!r}")

    def recutter(self) -> Recutter:
        """A fresh cutter of its map, in the patient's space at the time of the detection."""
        record = self.record
        score = slicer.util.arrayFromVolume(self.map).T
        return Recutter(score, record.affine, record.templateFromScan, regionLookup())

    def worldPoint(self, ras: tuple[float, float, float]) -> np.ndarray:
        """Where a point of the table (RAS mm at the time of the detection) is now: a transform may have moved it."""
        now = ijkToRas(self.map) @ np.linalg.inv(self.record.affine)
        return (now @ [*ras, 1.0])[:3]


def importResult(folder: Path, inputVolume, exportedAffine: np.ndarray) -> Result:
    """The nodes of what `neurogen detect` wrote to `folder`, in one new folder beside the input.

    The lesions are not yet there: the caller cuts them, as it does when the slider moves. Raises RuntimeError or
    ValueError when a file cannot be read; then nothing is left.
    """
    record = DetectionRecord.fromText((folder / "detect.json").read_text(encoding="utf-8"))
    title = _("{name} NeuroGen {model}").format(name=inputVolume.GetName(), model=record.modelName)
    item = resultFolder(inputVolume, title)
    try:
        return _importInto(item, folder, inputVolume, exportedAffine, record)
    except (RuntimeError, ValueError, OSError):
        removeFolder(item)
        raise


def _importInto(item: int, folder: Path, inputVolume, exportedAffine: np.ndarray, record: DetectionRecord) -> Result:
    name = inputVolume.GetName()

    def volume(title: str, file: str):
        return importVolume(folder / file, title.format(name=name), inputVolume, exportedAffine=exportedAffine)

    anchor = volume(_("{name} anomaly map"), "anomaly_map.nii.gz")
    anchor.SetAttribute(ROLE, MAP)
    addToFolder(item, anchor)
    result = Result(anchor)
    result.refer("input", inputVolume)
    healthy = result.keep("pseudoHealthy", volume(_("{name} pseudo-healthy"), "pseudo_healthy.nii.gz"))
    result.keep("difference", _difference(inputVolume, healthy, _("{name} difference").format(name=name)))
    result.keep("lesions", newSegmentation(_("{name} marked regions").format(name=name), anchor))
    brain = brainModel(anchor, _("{name} outline of the brain").format(name=name))
    if brain is not None:
        result.keep("brain", brain)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", _("{name} table of regions").format(name=name))
    result.keep("table", table)
    if (folder / "uncertainty.nii.gz").is_file():
        result.keep("uncertainty", volume(_("{name} disagreement of methods"), "uncertainty.nii.gz"))
    result.keepText("record", _("{name} record").format(name=name), folder / "detect.json")
    result.keepText("report", _("{name} report").format(name=name), folder / "report.html")
    for node in nodesInFolder(item):
        stamp(node, record.attributes)
    return result


def _difference(inputVolume, healthy, name: str):
    """Input minus pseudo-healthy, in the intensities of the scan, gray where they agree."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    scan, corrected = slicer.util.arrayFromVolume(inputVolume), slicer.util.arrayFromVolume(healthy)
    change = (scan - corrected).astype(np.float32) if scan.shape == corrected.shape else np.zeros_like(corrected)
    slicer.util.updateVolumeFromArray(node, change)
    node.CopyOrientation(healthy)
    node.SetAndObserveTransformNodeID(healthy.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    moved = np.abs(change.ravel()[::SAMPLED])
    moved = moved[moved > 0]
    limit = float(np.percentile(moved, WINDOW_PERCENTILE)) if moved.size else 1.0
    setWindow(node, -limit, limit)
    sameWindow(healthy, inputVolume)
    return node
