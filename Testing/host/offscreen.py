"""Slice and 3D views without a screen: the genuine displayable managers in an offscreen render window."""

import functools
import subprocess
import sys

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)
_TRY = (
    "import vtk; w = vtk.vtkRenderWindow(); w.SetOffScreenRendering(1); w.AddRenderer(vtk.vtkRenderer()); w.Render();"
    "print(w.GetClassName())"
)


@functools.cache
def canRender() -> bool:
    """Whether a picture can be drawn here. Asked in a child process: without EGL and OSMesa, VTK ends the process."""
    answer = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, text=True, timeout=120)
    return answer.returncode == 0 and "RenderWindow" in answer.stdout


def setUpManagers(applicationLogic: object) -> None:
    """Register what draws in the views; once a process."""
    for factory, names in (
        (slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS),
        (slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D_MANAGERS),
    ):
        factory.SetMRMLApplicationLogic(applicationLogic)
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)


class _View:
    """A render window that nobody sees, with the managers of one view node."""

    def __init__(self, viewNode: object, factory: object, size: tuple[int, int]):
        self.viewNode = viewNode
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetNumberOfLayers(2)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self._addBackground()
        self.managers = factory.InstantiateDisplayableManagers(self.renderer)
        self.managers.SetMRMLDisplayableNode(viewNode)

    def _addBackground(self) -> None:
        """What lies below the managers' renderer; nothing by default."""

    def picture(self) -> np.ndarray:
        """Draw now; (rows, columns, 3) uint8, first row at the top."""
        self.window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)
        return np.ascontiguousarray(pixels[::-1, :, :3])

    def close(self) -> None:
        self.managers.SetMRMLDisplayableNode(None)
        self.window.Finalize()


class OffscreenSlice(_View):
    """A slice view: the blended layers of a slice logic, and outlines and legends over them."""

    def __init__(self, sliceLogic: slicer.vtkMRMLSliceLogic, size: tuple[int, int]):
        self.sliceLogic = sliceLogic
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(sliceLogic.GetSliceNode(), factory, size)

    def _addBackground(self) -> None:
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._actor)

    def picture(self) -> np.ndarray:
        connection = self.sliceLogic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        return super().picture()


class OffscreenThreeD(_View):
    """A 3D view: surfaces, box and letters."""

    def __init__(self, viewNode: slicer.vtkMRMLViewNode, size: tuple[int, int]):
        super().__init__(viewNode, slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), size)
        self.renderer.GradientBackgroundOn()
        self.renderer.SetBackground(0.76, 0.76, 0.9)
        self.renderer.SetBackground2(0.45, 0.47, 0.75)
