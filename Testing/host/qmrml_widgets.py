"""Stand-ins for Slicer's qMRML widgets that look at a scene: the members that our modules use."""

import weakref

import shiboken6
import slicer
from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QHBoxLayout, QTableView, QWidget

NONE = "None"


def observe(subject: slicer.vtkMRMLNode | slicer.vtkMRMLScene, event: object, widget: QWidget) -> int:
    """Call `widget._refresh()` at every event for as long as the widget lives; the observer's tag."""
    alive = weakref.ref(widget)

    def call(*_: object) -> None:
        if alive() is not None and shiboken6.isValid(alive()):
            alive()._refresh()

    return subject.AddObserver(event, call)


class qMRMLWidget(QWidget):
    """The root of a form: it hands its scene on by the signal mrmlSceneChanged."""

    standIn = True
    vtkSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not None and not isinstance(scene, slicer.vtkMRMLScene):
            raise TypeError(f"setMRMLScene needs a vtkMRMLScene, and got {scene!r}")
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """Chooses a node of given classes. Without a scene it is empty and disabled, as the real one is."""

    standIn = True
    vtkSignals = {
        f"{name}(vtkMRMLNode*)": f"{name}(PyObject)"
        for name in ("currentNodeChanged", "nodeAdded", "nodeAddedByUser", "nodeAboutToBeRemoved")
    }
    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._scene, self._observed, self._currentID, self._filled = None, [], "", False
        self._nodeTypes, self._attributes, self._enabled = [], [], True
        self._flags = {"noneEnabled": False, "addEnabled": True, "removeEnabled": True, "editEnabled": False}
        self._flags |= {"renameEnabled": False, "showHidden": False, "selectNodeUponCreation": True}
        self._flags |= {"showChildNodeTypes": True}
        self._texts = {"noneDisplay": NONE, "baseName": "", "interactionNodeSingletonTag": ""}
        self._combo = QComboBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(self._chosen)
        self._refresh()

    # Scene

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._scene, self._observed = scene, []
        events = () if scene is None else (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
        for event in events:
            self._observed.append((scene, observe(scene, event, self)))
        self._refresh()

    def nodes(self) -> list:
        if self._scene is None:
            return []
        found = []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            if self._offers(node):
                found.append(node)
        return found

    def _offers(self, node: slicer.vtkMRMLNode) -> bool:
        if node.GetHideFromEditors() and not self._flags["showHidden"]:
            return False
        if self._flags["showChildNodeTypes"]:
            fits = any(node.IsA(one) for one in self._nodeTypes)
        else:
            fits = node.GetClassName() in self._nodeTypes
        return fits and all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _refresh(self) -> None:
        nodes = self.nodes()
        self._combo.blockSignals(True)
        self._combo.clear()
        if self._flags["noneEnabled"] or not nodes:
            self._combo.addItem(self._texts["noneDisplay"], "")
        for node in nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        self._combo.blockSignals(False)
        super().setEnabled(self._enabled and self._scene is not None)
        known = {node.GetID() for node in nodes}
        self._select(self._currentID if self._currentID in known else "")

    def _select(self, nodeID: str) -> None:
        self._combo.setCurrentIndex(max(self._combo.findData(nodeID), -1))
        if nodeID == self._currentID:
            return
        self._currentID = nodeID
        node = self.currentNode()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(nodeID)

    def _chosen(self, index: int) -> None:
        self._select(self._combo.itemData(index))

    # Current node

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._scene.GetNodeByID(self._currentID) if self._scene is not None and self._currentID else None

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeID: str | None) -> None:
        self._select(nodeID if nodeID in {node.GetID() for node in self.nodes()} else "")

    def setCurrentNodeIndex(self, index: int) -> None:
        nodes = self.nodes()
        self.setCurrentNode(nodes[index] if 0 <= index < len(nodes) else None)

    def nodeCount(self) -> int:
        return len(self.nodes())

    def nodeFromIndex(self, index: int) -> slicer.vtkMRMLNode | None:
        return self.nodes()[index] if 0 <= index < self.nodeCount() else None

    def addNode(self, nodeType: str = "") -> slicer.vtkMRMLNode:
        kind = nodeType or self._nodeTypes[0]
        name = self._scene.GenerateUniqueName(self._texts["baseName"] or kind.removeprefix("vtkMRML"))
        node = self._scene.AddNewNodeByClass(kind, name)
        self.nodeAddedByUser.emit(node)
        if self._flags["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        return node

    def addAttribute(self, nodeType: str, name: str, value: str | None = None) -> None:
        self._attributes.append((nodeType, name, value))
        self._refresh()

    def setEnabled(self, enabled: bool) -> None:
        self._enabled = enabled
        self._refresh()

    # Properties

    def _setNodeTypes(self, nodeTypes: list) -> None:
        self._nodeTypes = list(nodeTypes)
        self._refresh()

    def setNodeTypes(self, nodeTypes: list) -> None:
        self._setNodeTypes(nodeTypes)

    def _setOption(self, options: dict, name: str, value: object) -> None:
        options[name] = value
        self._refresh()

    def _flag(name: str) -> Property:
        return Property(bool, lambda self: self._flags[name], lambda self, v: self._setOption(self._flags, name, v))

    def _text(name: str) -> Property:
        return Property(str, lambda self: self._texts[name], lambda self, v: self._setOption(self._texts, name, v))

    nodeTypes = Property("QStringList", lambda self: self._nodeTypes, _setNodeTypes)
    currentNodeID = Property(str, lambda self: self._currentID, setCurrentNodeID)
    noneEnabled, addEnabled, removeEnabled = _flag("noneEnabled"), _flag("addEnabled"), _flag("removeEnabled")
    editEnabled, renameEnabled, showHidden = _flag("editEnabled"), _flag("renameEnabled"), _flag("showHidden")
    selectNodeUponCreation, showChildNodeTypes = _flag("selectNodeUponCreation"), _flag("showChildNodeTypes")
    noneDisplay, baseName = _text("noneDisplay"), _text("baseName")
    interactionNodeSingletonTag = _text("interactionNodeSingletonTag")


class qMRMLTableView(QTableView):
    """Shows a table node; the first row of the model is the node's first row."""

    standIn = True
    selectionChanged = Signal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._scene, self._node, self._tag = None, None, None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._model = QStandardItemModel(self)
        self.setModel(self._model)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selectionChanged.emit())

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._scene = scene

    def mrmlTableNode(self) -> slicer.vtkMRMLTableNode | None:
        return self._node

    def setMRMLTableNode(self, node: slicer.vtkMRMLTableNode | None) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = observe(node, "ModifiedEvent", self)
        self._refresh()

    def _refresh(self) -> None:
        self._model.clear()
        table = self._node.GetTable() if self._node is not None else None
        columns = table.GetNumberOfColumns() if table is not None else 0
        self._model.setHorizontalHeaderLabels([table.GetColumnName(index) or "" for index in range(columns)])
        for row in range(table.GetNumberOfRows() if columns else 0):
            values = (table.GetValue(row, column) for column in range(columns))
            self._model.appendRow([QStandardItem(value.ToString()) for value in values])
