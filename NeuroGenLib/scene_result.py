"""One result in the scene: an anchor node, and references from it to all that belongs to it.

A result is found again from its anchor alone, so a saved scene, a renamed node or a deleted part need no bookkeeping.
"""

from pathlib import Path
from typing import Any, Self

import slicer

from NeuroGenLib.hierarchy import addToFolder, folderOf, removeFolder, subjectHierarchy
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.tables import columnsOf

ROLE = "NeuroGen.role"  # attribute of every node of a result: what it is in it
_REFERENCE = "NeuroGen"


def isOfResult(node) -> bool:
    """Whether a node was made by NeuroGen, and is no input therefore."""
    return node.GetAttribute(ROLE) is not None


class SceneResult:
    """A result, seen from its anchor. Nodes that the user deleted are None."""

    ANCHOR_CLASS = ""  # MRML class of the anchor
    ANCHOR_ROLE = ""

    def __init__(self, anchor) -> None:
        self.anchor = anchor

    @classmethod
    def all(cls) -> list[Self]:
        """The results of this kind in the scene, oldest first."""
        nodes = slicer.util.getNodesByClass(cls.ANCHOR_CLASS)
        return [cls(node) for node in nodes if node.GetAttribute(ROLE) == cls.ANCHOR_ROLE]

    @property
    def title(self) -> str:
        """The name of its folder, which the user may have changed."""
        folder = folderOf(self.anchor)
        return subjectHierarchy().GetItemName(folder) if folder else self.anchor.GetName()

    @property
    def input(self):
        """The node that it was made from; None when it was removed from the scene."""
        return self.node("input")

    def node(self, role: str):
        """The node of a role."""
        return self.anchor.GetNodeReference(_REFERENCE + role)

    def needed(self, role: str):
        """The node of a role. Raises ValueError when it was deleted."""
        node = self.node(role)
        if node is None:
            text = _("A part of the result {name} was deleted: {part}.")
            raise ValueError(text.format(name=self.anchor.GetName(), part=role))
        return node

    def refer(self, role: str, node) -> None:
        """Make `node` the one of this role."""
        self.anchor.SetNodeReferenceID(_REFERENCE + role, node.GetID())

    def keep(self, role: str, node):
        """Make `node` the one of this role, in the folder of the result; return it."""
        self.refer(role, node)
        folder = folderOf(self.anchor)
        if folder:
            addToFolder(folder, node)
        node.SetAttribute(ROLE, role)
        return node

    def keepText(self, role: str, name: str, path: Path):
        """Keep the content of a text file, so that a saved scene holds it; return the node."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
        node.SetText(path.read_text(encoding="utf-8"))
        node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
        return self.keep(role, node)

    def remove(self) -> None:
        """Delete the result with all its nodes; the input is as it was."""
        folder = folderOf(self.anchor)
        if folder:
            removeFolder(folder)
        elif slicer.mrmlScene.IsNodePresent(self.anchor):
            slicer.mrmlScene.RemoveNode(self.anchor)


class TableResult(SceneResult):
    """A result whose anchor is its table."""

    ANCHOR_CLASS = "vtkMRMLTableNode"

    @property
    def table(self):
        """The anchor."""
        return self.anchor

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, by column name."""
        columns = columnsOf(self.anchor)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]
