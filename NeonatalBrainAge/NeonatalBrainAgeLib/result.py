"""One reading in the scene: its table of regions, and references from it to all that belongs to it."""

from pathlib import Path

import numpy as np
import slicer
from scipy import ndimage

from NeonatalBrainAgeLib.record import AgeRecord
from neurogen.brain_age.regions import REGIONS
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import addToFolder, importSegmentation, importVolume, removeFolder, resultFolder, stamp
from NeuroGenLib.scene_result import ROLE, TableResult
from NeuroGenLib.tables import readTsv, tableNode
from NeuroGenLib.terminology import BRAIN_TISSUE

TABLE = "ageTable"
NAMES = {region.label: region.name for region in REGIONS}
PLACE = ("i", "j", "k")  # columns: a voxel in the middle of the region, in the order of its label map


class Result(TableResult):
    """A reading, seen from its table of regions.

    Roles: input, labels, regions, colors, record, report, growth, growthChart, importanceChart.
    """

    ANCHOR_ROLE = TABLE

    @property
    def record(self) -> AgeRecord:
        """What made it. Raises ValueError when the record was deleted or changed."""
        node = self.node("record")
        if node is None:
            raise ValueError(_("The record of {name} was deleted.").format(name=self.table.GetName()))
        return AgeRecord.fromText(node.GetText())

    def row(self, label: int) -> dict[str, int | float | str]:
        """One region. Raises KeyError for a label that the table lacks."""
        for row in self.rows():
            if row["label"] == label:
                return row
        raise KeyError(label)

    def worldPoint(self, label: int) -> np.ndarray | None:
        """RAS mm of the middle of a region now, wherever a transform moved it; None without its label map."""
        labels = self.node("labels")
        if labels is None:
            return None
        row = self.row(label)
        return (ijkToRas(labels) @ [*(row[name] for name in PLACE), 1.0])[:3]


def importResult(folder: Path, inputNode, exportedAffine: np.ndarray, *, labels: Path) -> Result:
    """The nodes of what `neurogen brain-age` wrote to `folder`, in one new folder beside the input.

    labels : the file with the regions. Raises RuntimeError or ValueError when a file cannot be read; then nothing is
    left.
    """
    record = AgeRecord.fromText((folder / "age.json").read_text(encoding="utf-8"))
    item = resultFolder(inputNode, _("{name} brain age").format(name=inputNode.GetName()))
    try:
        return _importInto(item, folder, inputNode, exportedAffine, labels, record)
    except (RuntimeError, ValueError, OSError):
        removeFolder(item)
        raise


def _importInto(item: int, folder: Path, inputNode, affine: np.ndarray, labels: Path, record: AgeRecord) -> Result:
    name = inputNode.GetName()
    reference = None if inputNode.IsA("vtkMRMLSegmentationNode") else inputNode
    labelNode = importVolume(
        labels, _("{name} labels").format(name=name), reference, exportedAffine=affine, labels=True
    )
    addToFolder(item, labelNode)
    columns = readTsv(folder / "regions.tsv") | middles(slicer.util.arrayFromVolume(labelNode))
    table = tableNode(_("{name} regions").format(name=name), columns, descriptions=record.content.get("columns"))
    addToFolder(item, table)
    table.SetAttribute(ROLE, TABLE)
    result = Result(table)
    result.keep("labels", labelNode)
    regions = importSegmentation(labels, NAMES, reference, name=_("{name} regions (segments)").format(name=name),
                                 terminology=BRAIN_TISSUE, exportedAffine=affine)  # fmt: skip
    result.keep("regions", regions)
    result.keepText("record", _("{name} record").format(name=name), folder / "age.json")
    result.keepText("report", _("{name} report").format(name=name), folder / "report.html")
    result.refer("input", inputNode)
    for node in (table, labelNode, regions, result.node("record"), result.node("report")):
        stamp(node, record.attributes)
    return result


def middles(labels: np.ndarray) -> dict[str, list[int]]:
    """Columns i, j, k: for each region the voxel of it that is nearest to its center of mass. labels: (K, J, I)."""
    boxes = ndimage.find_objects(labels)
    found = [_middle(labels, region.label, boxes[region.label - 1]) for region in REGIONS]
    return {name: [int(place[2 - k]) for place in found] for k, name in enumerate(PLACE)}


def _middle(labels: np.ndarray, label: int, box: tuple[slice, ...]) -> np.ndarray:
    voxels = np.argwhere(labels[box] == label)
    nearest = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return nearest + [part.start for part in box]
