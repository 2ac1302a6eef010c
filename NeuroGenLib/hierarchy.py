"""The subject hierarchy: one folder beside the input holds all nodes of a result, and deleting it undoes the result."""

import json
import weakref
from collections.abc import Mapping
from typing import Any

import slicer
import vtk

STAMP = "NeuroGen."
MARK = "NeuroGenResult"  # attribute of result folders, and of the nodes in them
_watched = weakref.WeakSet()
_orphans: dict[str, list] = {}


def stamp(node, attributes: Mapping[str, Any]) -> None:
    """Write `NeuroGen.<key>` attributes: model, version, weightsSha256, settings and the like; see `readStamp`."""
    for key, value in attributes.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        node.SetAttribute(STAMP + key, text)


def readStamp(node) -> dict[str, str]:
    """The attributes that `stamp` wrote, as text, without their prefix."""
    names = [name for name in node.GetAttributeNames() or () if name.startswith(STAMP)]
    return {name.removeprefix(STAMP): node.GetAttribute(name) for name in names}


def resultFolder(inputNode, name: str) -> int:
    """A new folder beside `inputNode` in the subject hierarchy; return its item id."""
    hierarchy = subjectHierarchy()
    parent = hierarchy.GetItemParent(itemOf(inputNode)) if inputNode is not None else hierarchy.GetSceneItemID()
    item = hierarchy.CreateFolderItem(parent, hierarchy.GenerateUniqueItemName(name))
    hierarchy.SetItemAttribute(item, MARK, "1")
    return item


def addToFolder(item: int, node) -> None:
    """Put a node into a result folder; what belongs to it alone then goes when it goes."""
    node.SetAttribute(MARK, "1")
    subjectHierarchy().SetItemParent(itemOf(node), item)
    watchRemovals()


def folderOf(node) -> int:
    """The result folder that a node lies in, 0 when it lies in none."""
    hierarchy = subjectHierarchy()
    item = hierarchy.GetItemByDataNode(node)
    while item and not hierarchy.GetItemAttribute(item, MARK):
        item = hierarchy.GetItemParent(item)
    return item


def resultFolders() -> list[int]:
    """All result folders of the scene, the newest last."""
    hierarchy = subjectHierarchy()
    return [item for item in _itemsBelow(hierarchy.GetSceneItemID()) if hierarchy.GetItemAttribute(item, MARK)]


def nodesInFolder(item: int) -> list:
    """All data nodes below a folder of the subject hierarchy."""
    hierarchy = subjectHierarchy()
    found = [hierarchy.GetItemDataNode(each) for each in _itemsBelow(item)]
    return [node for node in found if node is not None]


def removeFolder(item: int) -> None:
    """Delete a result folder with all its nodes, their display and storage; nothing when it is no such folder."""
    hierarchy = subjectHierarchy()
    if not item or not hierarchy.GetItemAttribute(item, MARK):
        return
    watchRemovals()
    hierarchy.RemoveItem(item, True, True)


def watchRemovals() -> None:
    """See to it that a result node which anyone deletes takes its display and storage nodes along.

    Slicer leaves them in the scene. Call it when a module starts, for scenes that were saved with results.
    """
    scene = slicer.mrmlScene
    if scene in _watched:
        return
    _watched.add(scene)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, _onNodeAboutToBeRemoved)
    scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, _onNodeRemoved)


def subjectHierarchy():
    """The scene's subject hierarchy, made when the scene has none yet."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def itemOf(node) -> int:
    """The item of a node, made where no application makes it."""
    hierarchy = subjectHierarchy()
    return hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _onNodeAboutToBeRemoved(scene, event, node) -> None:
    if not scene.IsClosing() and node.GetAttribute(MARK):
        _orphans[node.GetID()] = _helpersOf(node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _onNodeRemoved(scene, event, node) -> None:
    for helper in _orphans.pop(node.GetID(), ()):
        if scene.IsNodePresent(helper):
            scene.RemoveNode(helper)


def _helpersOf(node) -> list:
    """The display and storage nodes of a node."""
    displays = range(node.GetNumberOfDisplayNodes()) if node.IsA("vtkMRMLDisplayableNode") else ()
    stores = range(node.GetNumberOfStorageNodes()) if node.IsA("vtkMRMLStorableNode") else ()
    helpers = [node.GetNthDisplayNode(k) for k in displays] + [node.GetNthStorageNode(k) for k in stores]
    return [helper for helper in helpers if helper is not None]


def _itemsBelow(item: int) -> list[int]:
    items = vtk.vtkIdList()
    subjectHierarchy().GetItemChildren(item, items, True)
    return [items.GetId(k) for k in range(items.GetNumberOfIds())]
