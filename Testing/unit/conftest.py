"""A bare MRML scene for tests of NeuroGenLib: genuine Slicer libraries, no application, no Qt."""

import types

import pytest


@pytest.fixture
def bare_scene(monkeypatch, tmp_path):
    """A new empty scene as `slicer.mrmlScene`, with the logics that volumes, segmentations and legends need."""
    slicer = pytest.importorskip("slicer")
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetTemporaryPath(str(tmp_path))
    application.SetHomeDirectory(str(tmp_path))
    kept = [application]

    def register(logic, name):
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        kept.append(logic)
        return types.SimpleNamespace(logic=lambda: logic)

    register(slicer.vtkSlicerColorLogic(), "Colors")
    modules = types.SimpleNamespace(
        volumes=register(slicer.vtkSlicerVolumesLogic(), "Volumes"),
        segmentations=register(slicer.vtkSlicerSegmentationsModuleLogic(), "Segmentations"),
    )
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    monkeypatch.setattr(slicer, "app", None, raising=False)
    yield scene
    scene.Clear(1)
