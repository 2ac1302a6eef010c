"""The subject hierarchy: one folder beside the input holds all nodes of a result, and deleting it undoes the result."""

import json
from collections.abc import Mapping
from typing import Any

import slicer
import vtk

ATTRIBUTE = "NeuroGen."
FOLDER_MARK = ATTRIBUTE + "Result"  # attribute of the subject hierarchy folders that hold results


def stamp(node, attributes: Mapping[str, Any]) -> None:
    """Write `NeuroGen.<key>` attributes: model, version, weightsSha256, settings and the like; see `readStamp`."""
    for key, value in attributes.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        node.SetAttribute(ATTRIBUTE + key, text)


def readStamp(node) -> dict[str, str]:
    """The attributes that `stamp` wrote, as text, without their prefix."""
    names = [name for name in node.GetAttributeNames() or () if name.startswith(ATTRIBUTE)]
    return {name.removeprefix(ATTRIBUTE): node.GetAttribute(name) for name in names}


def resultFolder(inputNode, name: str) -> int:
    """A new folder beside `inputNode` in the subject hierarchy; return its item id."""
    hierarchy = subjectHierarchy()
    parent = hierarchy.GetItemParent(itemOf(inputNode)) if inputNode is not None else hierarchy.GetSceneItemID()
    item = hierarchy.CreateFolderItem(parent, hierarchy.GenerateUniqueItemName(name))
    hierarchy.SetItemAttribute(item, FOLDER_MARK, "1")
    return item


def addToFolder(item: int, node) -> None:
    """Put a node into a folder of the subject hierarchy."""
    subjectHierarchy().SetItemParent(itemOf(node), item)


def folderOf(node) -> int:
    """The result folder that a node lies in, 0 when it lies in none."""
    hierarchy = subjectHierarchy()
    item = hierarchy.GetItemByDataNode(node)
    while item and not hierarchy.GetItemAttribute(item, FOLDER_MARK):
        item = hierarchy.GetItemParent(item)
    return item


def nodesInFolder(item: int) -> list:
    """All data nodes below a folder of the subject hierarchy."""
    hierarchy = subjectHierarchy()
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, items, True)
    found = [hierarchy.GetItemDataNode(items.GetId(k)) for k in range(items.GetNumberOfIds())]
    return [node for node in found if node is not None]


def removeFolder(item: int) -> None:
    """Delete a folder with all its nodes and what only they use (display and storage); nothing when it is gone."""
    scene, hierarchy = slicer.mrmlScene, subjectHierarchy()
    if not item or not hierarchy.GetItemAttribute(item, FOLDER_MARK):
        return
    nodes = nodesInFolder(item)
    helpers = [helper for node in nodes for helper in _helpersOf(node)]
    hierarchy.RemoveItem(item, True, True)
    for node in [*nodes, *helpers]:
        if scene.IsNodePresent(node):
            scene.RemoveNode(node)


def subjectHierarchy():
    """The scene's subject hierarchy, made when the scene has none yet."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def itemOf(node) -> int:
    """The item of a node, made where no application makes it."""
    hierarchy = subjectHierarchy()
    return hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _helpersOf(node) -> list:
    """The display and storage nodes of a node that no node outside its folder shares."""
    displays = range(node.GetNumberOfDisplayNodes()) if hasattr(node, "GetNumberOfDisplayNodes") else ()
    stores = range(node.GetNumberOfStorageNodes()) if hasattr(node, "GetNumberOfStorageNodes") else ()
    helpers = [node.GetNthDisplayNode(k) for k in displays] + [node.GetNthStorageNode(k) for k in stores]
    return [helper for helper in helpers if helper is not None and not helper.GetSingletonTag()]
