"""Subject hierarchy items for new nodes: in the application, Qt plugins make and remove them."""

import slicer
import vtk

SHOWN = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
)


class HierarchyKeeper:
    """Every node that users see has exactly one item, from the moment it is in the scene until it leaves it."""

    def __init__(self, scene: slicer.vtkMRMLScene):
        self._scene = scene
        scene.AddObserver(scene.NodeAddedEvent, self._added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._removed)
        scene.AddObserver(scene.EndImportEvent, self._imported)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _added(self, caller: object, event: str, node: slicer.vtkMRMLNode) -> None:
        if not self._scene.IsImporting():
            self._addItem(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _removed(self, caller: object, event: str, node: slicer.vtkMRMLNode) -> None:
        if self._scene.IsClosing():
            return
        hierarchy = self._scene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)

    def _imported(self, caller: object, event: str) -> None:
        for index in range(self._scene.GetNumberOfNodes()):
            self._addItem(self._scene.GetNthNode(index))

    def _addItem(self, node: slicer.vtkMRMLNode) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in SHOWN):
            return
        hierarchy = self._scene.GetSubjectHierarchyNode()
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
