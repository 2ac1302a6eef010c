"""One reading in the scene: its table of regions, and references from it to all that belongs to it.

A result is found again from its table alone, so a saved scene, a renamed node or a deleted part need no bookkeeping.
"""

from pathlib import Path

import numpy as np
import slicer
from scipy import ndimage

from NeonatalBrainAgeLib.record import AgeRecord
from neurogen.brain_age.regions import REGIONS
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import (
    addToFolder,
    folderOf,
    importSegmentation,
    importVolume,
    removeFolder,
    resultFolder,
    stamp,
)
from NeuroGenLib.tables import columnsOf, readTsv, tableNode
from NeuroGenLib.terminology import BRAIN_TISSUE

ROLE = "NeuroGen.role"
TABLE = "ageTable"
NAMES = {region.label: region.name for region in REGIONS}
PLACE = ("i", "j", "k")  # columns: a voxel in the middle of the region, in the order of its label map
_REFERENCE = "NeuroGen"


class Result:
    """A reading, seen from its table. Nodes that the user deleted are None."""

    def __init__(self, table) -> None:
        self.table = table

    @property
    def input(self):
        """The segmentation or volume that was read; None when it was removed from the scene."""
        return self.node("input")

    @property
    def record(self) -> AgeRecord:
        """What made it. Raises ValueError when the record was deleted or changed."""
        node = self.node("record")
        if node is None:
            raise ValueError(_("The record of {name} was deleted.").format(name=self.table.GetName()))
        return AgeRecord.fromText(node.GetText())

    def node(self, role: str):
        """The node of a role: input, labels, regions, colors, record, report, growth, growthChart, importanceChart."""
        return self.table.GetNodeReference(_REFERENCE + role)

    def refer(self, role: str, node) -> None:
        """Make `node` the one of this role."""
        self.table.SetNodeReferenceID(_REFERENCE + role, node.GetID())

    def keep(self, role: str, node):
        """Make `node` the one of this role, in the folder of the result; return it."""
        self.refer(role, node)
        folder = folderOf(self.table)
        if folder:
            addToFolder(folder, node)
        node.SetAttribute(ROLE, role)
        return node

    def rows(self) -> list[dict[str, int | float | str]]:
        """The regions, by ascending label."""
        columns = columnsOf(self.table)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

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

    def remove(self) -> None:
        """Delete the result with all its nodes."""
        folder = folderOf(self.table)
        if folder:
            removeFolder(folder)
        elif slicer.mrmlScene.IsNodePresent(self.table):
            slicer.mrmlScene.RemoveNode(self.table)


def allResults() -> list[Result]:
    """The results in the scene, oldest first."""
    return [
        Result(node) for node in slicer.util.getNodesByClass("vtkMRMLTableNode") if node.GetAttribute(ROLE) == TABLE
    ]


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
    for role, title, file in (
        ("record", _("{name} record"), "age.json"),
        ("report", _("{name} report"), "report.html"),
    ):
        result.keep(role, _textNode(title.format(name=name), folder / file))
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


def _textNode(name: str, path: Path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
    node.SetText(path.read_text(encoding="utf-8"))
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
    return node
