"""The scene, the application logic and the module logics: genuine slicer-core, put together as the application does."""

import types
from dataclasses import dataclass
from pathlib import Path

import slicer

MODULE_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


@dataclass(frozen=True)
class Libraries:
    """What the application holds: one scene and the logics that look at it."""

    scene: slicer.vtkMRMLScene
    applicationLogic: slicer.vtkSlicerApplicationLogic
    moduleLogics: dict[str, object]
    remote: tuple  # reading .mrb needs a cache, and these two must stay alive


def buildLibraries(folder: Path) -> Libraries:
    """A scene with every logic registered; temporary files, cache and home lie in `folder`."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetHomeDirectory(_made(folder / "home"))
    application.SetShareDirectory("share")  # below the home
    _made(folder / "home" / "share" / "ColorFiles")
    application.SetTemporaryPath(_made(folder / "temporary"))
    application.SetMRMLScene(scene)
    logics = {name: _register(application, scene, name, kind) for name, kind in MODULE_LOGICS.items()}
    application.SetColorLogic(logics["Colors"])  # the logic that was there takes its colors along
    logics["Colors"].AddDefaultColorNodes()
    return Libraries(scene, application, logics, _remoteData(application, scene, folder))


def moduleNamespace(libraries: Libraries) -> types.SimpleNamespace:
    """`slicer.modules` with the C++ modules; scripted modules add themselves."""
    modules = {name.lower(): LibraryModule(name, logic) for name, logic in libraries.moduleLogics.items()}
    return types.SimpleNamespace(**modules)


class LibraryModule:
    """A C++ module as Python sees it: a name and a logic."""

    def __init__(self, name: str, logic: object):
        self.name, self.title, self._logic = name, name, logic

    def logic(self) -> object:
        return self._logic


def _register(application: object, scene: object, name: str, kind: str) -> object:
    logic = getattr(slicer, kind)()
    logic.SetMRMLApplicationLogic(application)
    application.SetModuleLogic(name, logic)
    logic.SetMRMLScene(scene)
    return logic


def _remoteData(application: object, scene: object, folder: Path) -> tuple:
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLApplicationLogic(application)
    remote.SetMRMLScene(scene)
    remote.GetCacheManager().SetRemoteCacheDirectory(_made(folder / "cache"))
    manager = slicer.vtkDataIOManagerLogic()
    manager.SetMRMLApplicationLogic(application)
    manager.SetMRMLScene(scene)
    manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return remote, manager


def _made(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
