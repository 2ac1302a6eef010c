"""The layout manager and its view widgets, on the genuine layout logic."""

import numpy as np
import slicer
import vtk
from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QWidget

from .libraries import Libraries
from .offscreen import OffscreenSlice, OffscreenThreeD

VIEW_PIXELS = (320, 320)


class qMRMLViewWidget(QWidget):
    """A widget that shows what its offscreen view draws; the view is made when a picture is first asked for."""

    standIn = True

    def __init__(self, viewNode: slicer.vtkMRMLAbstractViewNode, parent: QWidget | None = None):
        super().__init__(parent)
        self._viewNode, self._view = viewNode, None
        self.resize(*VIEW_PIXELS)

    def _makeView(self, size: tuple[int, int]) -> object:
        raise NotImplementedError(f"{type(self).__name__} draws nothing")

    def _open(self) -> object:
        if self._view is None:
            self._view = self._makeView((self.width, self.height))
        return self._view

    def picture(self) -> np.ndarray:
        """(rows, columns, 3) uint8 of what the view shows now."""
        return self._open().picture()

    def paintEvent(self, event) -> None:
        pixels = np.ascontiguousarray(self.picture())
        rows, columns, _ = pixels.shape
        image = QImage(pixels.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
        QPainter(self).drawImage(0, 0, image)

    def resizeEvent(self, event) -> None:
        if self._view is not None:
            self._view.window.SetSize(self.width, self.height)


class qMRMLSliceWidget(qMRMLViewWidget):
    """One slice view: its node, its logic, its picture."""

    def __init__(self, sliceLogic: slicer.vtkMRMLSliceLogic, parent: QWidget | None = None):
        self._sliceLogic = sliceLogic
        super().__init__(sliceLogic.GetSliceNode(), parent)
        self._fitDimensions()

    def _makeView(self, size: tuple[int, int]) -> OffscreenSlice:
        return OffscreenSlice(self._sliceLogic, size)

    def _fitDimensions(self) -> None:
        self._sliceLogic.ResizeSliceNode(self.width, self.height)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._fitDimensions()

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._viewNode

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._sliceLogic.GetSliceCompositeNode()

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._sliceLogic

    def sliceView(self) -> "ViewHandle":
        return ViewHandle(self)

    def sliceController(self) -> "SliceController":
        return SliceController(self)

    def fitSliceToBackground(self) -> None:
        self._sliceLogic.FitSliceToBackground(*self._viewNode.GetDimensions()[:2])


class qMRMLThreeDWidget(qMRMLViewWidget):
    """One 3D view."""

    def _makeView(self, size: tuple[int, int]) -> OffscreenThreeD:
        return OffscreenThreeD(self._viewNode, size)

    def mrmlViewNode(self) -> slicer.vtkMRMLViewNode:
        return self._viewNode

    def threeDView(self) -> "ViewHandle":
        return ViewHandle(self)


class ViewHandle:
    """What `sliceView()` and `threeDView()` give."""

    def __init__(self, widget: qMRMLViewWidget):
        self._widget = widget

    def forceRender(self) -> None:
        self._widget._open().window.Render()

    def scheduleRender(self) -> None:
        self._widget.update()

    def renderWindow(self) -> vtk.vtkRenderWindow:
        return self._widget._open().window

    def resetFocalPoint(self) -> None:
        """The middle of what is shown, the box and the letters of the axes not counted."""
        node, renderer = self._widget.mrmlViewNode(), self._widget._open().renderer
        before = node.GetBoxVisible(), node.GetAxisLabelsVisible()
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        renderer.ResetCamera()
        node.SetBoxVisible(before[0])
        node.SetAxisLabelsVisible(before[1])


class SliceController:
    """What `sliceController()` gives: linking, fitting and offsets."""

    def __init__(self, widget: qMRMLSliceWidget):
        self._widget = widget

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._widget.sliceLogic()

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._widget.mrmlSliceCompositeNode()

    def setSliceLink(self, linked: bool) -> None:
        self.mrmlSliceCompositeNode().SetLinkedControl(linked)

    def setSliceOffsetValue(self, offset: float) -> None:
        self.sliceLogic().SetSliceOffset(offset)

    def fitSliceToBackground(self) -> None:
        self._widget.fitSliceToBackground()

    def setVisible(self, visible: bool) -> None:
        """The real controller is the bar above a view; here there is none to hide."""


class qSlicerLayoutManager(QWidget):
    """Which views there are. The layout logic makes their nodes; here each node gets a widget."""

    standIn = True
    layoutChanged = Signal(int)

    def __init__(self, libraries: Libraries):
        super().__init__()
        self._libraries, self._slices, self._threeDs, self._drawing = libraries, {}, {}, False
        libraries.applicationLogic.SetSliceLogics(vtk.vtkCollection())
        libraries.applicationLogic.SetViewLogics(vtk.vtkCollection())
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(libraries.scene)
        self._node = self._logic.GetLayoutNode()
        self._node.AddObserver("ModifiedEvent", lambda *_: self._update())
        libraries.scene.AddObserver(libraries.scene.EndCloseEvent, lambda *_: self._update())
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._libraries.scene

    def setLayout(self, layout: int) -> None:
        if layout == self._node.GetViewArrangement():
            return
        self._node.SetViewArrangement(int(layout))
        self._update()
        self.layoutChanged.emit(int(layout))

    layout = Property(int, lambda self: self._node.GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._threeDs))
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, lambda self: 0)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._slices.get(name)

    def threeDWidget(self, index: int | str) -> qMRMLThreeDWidget | None:
        if isinstance(index, str):
            return self._threeDs.get(index)
        return list(self._threeDs.values())[index] if 0 <= index < len(self._threeDs) else None

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._libraries.applicationLogic.GetSliceLogics()

    def shownViews(self) -> list[qMRMLViewWidget]:
        """The widgets of the layout in force, in its order."""
        nodes = self._logic.GetViewNodes()
        shown = (self.widgetOf(nodes.GetItemAsObject(index)) for index in range(nodes.GetNumberOfItems()))
        return [widget for widget in shown if widget is not None]

    def openViews(self) -> None:
        """From now on every view is drawn from its beginning, as on a screen: a legend finds only views that exist."""
        self._drawing = True
        self._update()

    def widgetOf(self, node: slicer.vtkMRMLAbstractViewNode) -> qMRMLViewWidget | None:
        """The widget of a view node."""
        return (self._slices if node.IsA("vtkMRMLSliceNode") else self._threeDs).get(node.GetLayoutName())

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self) -> None:
        for widget in self._threeDs.values():
            widget.threeDView().resetFocalPoint()

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing is drawn here until somebody asks."""

    def _update(self) -> None:
        nodes = self._logic.GetViewNodes()
        for index in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(index)
            if node.IsA("vtkMRMLSliceNode") and node.GetLayoutName() not in self._slices:
                self._slices[node.GetLayoutName()] = qMRMLSliceWidget(self._sliceLogic(node), self)
            elif node.IsA("vtkMRMLViewNode") and node.GetLayoutName() not in self._threeDs:
                self._threeDs[node.GetLayoutName()] = qMRMLThreeDWidget(node, self)
        if self._drawing:
            for widget in self.shownViews():
                widget._open()

    def _sliceLogic(self, node: slicer.vtkMRMLSliceNode) -> slicer.vtkMRMLSliceLogic:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._libraries.applicationLogic)
        logic.SetMRMLScene(self._libraries.scene)
        logic.SetSliceNode(node)
        self._libraries.applicationLogic.GetSliceLogics().AddItem(logic)
        return logic
