"""A main window round a module's panel and the views of the layout: for pictures, and for messages that need one."""

import slicer
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDockWidget,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from .layout import qMRMLSliceWidget, qMRMLViewWidget

PANEL_PIXELS = 420


class MainWindow(QMainWindow):
    """The panel on the left, the views beside it, as the layout arranges them."""

    standIn = True

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._bars = []
        self._dock, self._scroll = QDockWidget(self), QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setMinimumWidth(PANEL_PIXELS)
        self._dock.setWidget(self._scroll)
        self._dock.setObjectName("PanelDockWidget")
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self._dock)
        self.arrange()

    def showPanel(self, title: str, panel: QWidget) -> None:
        """Put a module's panel into the dock."""
        self._dock.setWindowTitle(title)
        self._scroll.setWidget(panel)
        panel.show()

    def arrange(self) -> None:
        """Lay the views out as the layout in force says."""
        manager = slicer.app.layoutManager()
        self.releaseViews()
        self._bars = []
        root = manager.layoutLogic().GetLayoutNode().GetLayoutRootElement()
        self.setCentralWidget(self._element(root, manager))

    def releaseViews(self) -> None:
        """Give the views back to the layout manager, before the window goes or another layout comes."""
        for _, widget in self._bars:
            widget.setParent(slicer.app.layoutManager())

    def slices(self) -> list[qMRMLSliceWidget]:
        """The slice views that are shown."""
        return [widget for _, widget in self._bars if isinstance(widget, qMRMLSliceWidget)]

    def refreshTitles(self) -> None:
        """Write in the bars where the slices are now."""
        for bar, widget in self._bars:
            bar.text = _title(widget)

    def _element(self, element: object, manager: object) -> QWidget:
        if element.GetName() == "view":
            return self._framed(manager.widgetOf(manager.layoutLogic().GetViewFromElement(element)))
        box = QWidget()
        kind = element.GetAttribute("type")
        layout = {"vertical": QVBoxLayout, "grid": QGridLayout}.get(kind, QHBoxLayout)(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for index in range(element.GetNumberOfNestedElements()):
            item = element.GetNestedElement(index)
            if not item.GetNumberOfNestedElements():
                continue
            inner = self._element(item.GetNestedElement(0), manager)
            if kind == "grid":
                layout.addWidget(inner, int(item.GetAttribute("row") or 0), int(item.GetAttribute("column") or 0))
            else:
                layout.addWidget(inner, 1)
        return box

    def _framed(self, widget: qMRMLViewWidget) -> QWidget:
        """A view under a bar with its name, in the color of its layout node."""
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        bar = QLabel(_title(widget))
        red, green, blue = (round(255 * value) for value in widget._viewNode.GetLayoutColor())
        bar.setStyleSheet(f"background: rgb({red}, {green}, {blue}); color: black; padding: 2px")
        layout.addWidget(bar)
        layout.addWidget(widget, 1)
        widget.show()
        self._bars.append((bar, widget))
        return box


def _title(widget: qMRMLViewWidget) -> str:
    node = widget._viewNode
    if not isinstance(widget, qMRMLSliceWidget):
        return node.GetLayoutLabel()
    offset = widget.sliceLogic().GetSliceOffset()
    title = f"{node.GetLayoutLabel()}   {node.GetOrientation()} {offset:.1f} mm"
    return title if node.GetOrientation() == "Sagittal" else f"{title}   R | L"
