"""The application's IO manager: the kinds of file our modules read and write, on the genuine storage nodes."""

from pathlib import Path

import slicer
import vtk

from .libraries import Libraries

READERS = {
    (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz"): "VolumeFile",
    (".seg.nrrd", ".seg.nii.gz"): "SegmentationFile",
    (".csv", ".tsv"): "TableFile",
    (".h5", ".tfm"): "TransformFile",
    (".vtk", ".vtp", ".stl", ".ply"): "ModelFile",
    (".mrk.json",): "MarkupsFile",
    (".txt",): "TextFile",
    (".ctbl",): "ColorTableFile",
    (".mrb", ".mrml"): "SceneFile",
}
WRITERS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLTransformNode": "TransformFile",
}


class CoreIOManager:
    """What `slicer.util.loadVolume`, `saveNode`, `exportNode`, `saveScene` and their kin call."""

    def __init__(self, libraries: Libraries):
        self._libraries = libraries

    def fileType(self, filename: str) -> str:
        """The kind of a file by its ending; the longest ending wins."""
        fitting = [(len(end), kind) for ends, kind in READERS.items() for end in ends if str(filename).endswith(end)]
        return max(fitting)[1] if fitting else "NoFile"

    def loadNodes(self, fileType: str, properties: dict, loaded: vtk.vtkCollection, messages: object = None) -> bool:
        path = str(properties["fileName"])
        if not Path(path).is_file():
            return False
        node = getattr(self, f"_load{fileType}")(path, properties)
        if node is not None and node is not True:
            if properties.get("name"):
                node.SetName(properties["name"])
            loaded.AddItem(node)
        return node is not None and node is not False

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        return next((kind for name, kind in WRITERS.items() if node.IsA(name)), "NoFile")

    def saveNodes(self, fileType: str, properties: dict, messages: object = None) -> bool:
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._saveScene(path)
        node = self._libraries.scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))

    def extractKnownExtension(self, filename: str, node: slicer.vtkMRMLNode) -> str:
        endings = [one for ends in READERS for one in ends if str(filename).endswith(one)]
        return max(endings, key=len, default="")

    def fileWriterExtensions(self, node: slicer.vtkMRMLNode) -> tuple[str, ...]:
        storage = node.CreateDefaultStorageNode()
        types = storage.GetSupportedWriteFileTypes()
        return tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))

    def exportNodes(self, nodeIDs, fileNames, properties, hardenTransforms: bool, messages: object = None) -> bool:
        """Write copies: neither the nodes nor their storage nodes change."""
        return all(self._export(nodeID, path, hardenTransforms) for nodeID, path in zip(nodeIDs, fileNames))

    def _export(self, nodeID: str, path: str, harden: bool) -> bool:
        original = self._libraries.scene.GetNodeByID(nodeID)
        scene = slicer.vtkMRMLScene()
        copy = scene.AddNewNodeByClass(original.GetClassName())
        copy.CopyContent(original)
        if harden and original.GetParentTransformNode() is not None:
            toWorld = vtk.vtkGeneralTransform()
            original.GetParentTransformNode().GetTransformToWorld(toWorld)
            copy.ApplyTransform(toWorld)
        storage = copy.CreateDefaultStorageNode()
        storage.SetFileName(str(path))
        return bool(storage.WriteData(copy))

    # One method for each kind of file; the node, True for a scene, or None when it could not be read.

    def _loadVolumeFile(self, path: str, properties: dict) -> object:
        name = properties.get("name") or Path(path).name.split(".")[0]
        node = self._libraries.moduleLogics["Volumes"].AddArchetypeVolume(
            path, name, 1 if properties.get("labelmap") else 0
        )
        if node is not None and properties.get("show", True):
            application = self._libraries.applicationLogic
            selection = application.GetSelectionNode()
            if node.IsA("vtkMRMLLabelMapVolumeNode"):
                selection.SetActiveLabelVolumeID(node.GetID())
            else:
                selection.SetActiveVolumeID(node.GetID())
            application.PropagateVolumeSelection(1)
        return node

    def _loadSegmentationFile(self, path: str, properties: dict) -> object:
        return self._loadWith("vtkMRMLSegmentationNode", path)

    def _loadTableFile(self, path: str, properties: dict) -> object:
        return self._loadWith("vtkMRMLTableNode", path)

    def _loadTransformFile(self, path: str, properties: dict) -> object:
        return self._libraries.moduleLogics["Transforms"].AddTransform(path, self._libraries.scene)

    def _loadModelFile(self, path: str, properties: dict) -> object:
        return self._libraries.moduleLogics["Models"].AddModel(path)

    def _loadMarkupsFile(self, path: str, properties: dict) -> object:
        markups = self._libraries.moduleLogics["Markups"]
        return self._libraries.scene.GetNodeByID(markups.LoadMarkups(path, Path(path).name.split(".")[0]))

    def _loadTextFile(self, path: str, properties: dict) -> object:
        return self._loadWith("vtkMRMLTextNode", path)

    def _loadColorTableFile(self, path: str, properties: dict) -> object:
        return self._libraries.applicationLogic.GetColorLogic().LoadColorFile(path)

    def _loadSceneFile(self, path: str, properties: dict) -> bool:
        scene, clear = self._libraries.scene, properties.get("clear", False)
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _loadWith(self, className: str, path: str) -> object:
        node = self._libraries.scene.AddNewNodeByClass(className, Path(path).name.split(".")[0])
        node.AddDefaultStorageNode(path)
        if node.GetStorageNode().ReadData(node):
            if hasattr(node, "CreateDefaultDisplayNodes"):
                node.CreateDefaultDisplayNodes()
            return node
        self._libraries.scene.RemoveNode(node)
        return None

    def _saveScene(self, path: str) -> bool:
        scene = self._libraries.scene
        if path.endswith(".mrb"):
            scene.SetRootDirectory(str(Path(path).parent))
            return bool(scene.WriteToMRB(path))
        scene.SetURL(path)
        scene.SetRootDirectory(str(Path(path).parent))
        return bool(scene.Commit())
