"""What the widgets of the modules share: the form, the panel, the events of the scene, and loading anew."""

import sys
from typing import Any

import slicer


class ModuleWidgetMixin:
    """Beside `ScriptedLoadableModuleWidget` and `VTKObservationMixin`: a module says in `makeParts` what it is made of.

    The form is `Resources/UI/<module>.ui`.
    """

    logic = None
    _panel = None
    _isOpen = False

    def makeParts(self, ui) -> tuple[Any, Any]:
        """The logic and the panel of the module, on this form."""
        raise NotImplementedError

    def setup(self) -> None:
        """Called by the application when the module is first opened."""
        super().setup()
        form = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic, self._panel = self.makeParts(self.ui)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End what runs; the application closes or the module is loaded anew."""
        self.removeObservers()
        if self._panel is not None:
            self._panel.cleanup()
        if self.logic is not None:
            self.logic.close()

    def enter(self) -> None:
        """The user opens the module."""
        self._isOpen = True
        self.initializeParameterNode()
        self._panel.enter()

    def exit(self) -> None:
        """The user goes to another module; the results stay in the views."""
        self._isOpen = False

    def onReload(self) -> None:
        """Load the libraries of the module anew, too (developer mode)."""
        for name in list(sys.modules):
            if name.split(".")[0] in (f"{self.moduleName}Lib", "NeuroGenLib"):
                del sys.modules[name]
        super().onReload()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.logic.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene was loaded: show its state, and its result where the user looks at this module."""
        self.initializeParameterNode()
        if self._isOpen:
            self._panel.showResult()

    def onNodeAdded(self, caller: Any, event: Any) -> None:
        """Nodes of a scene that is being loaded are looked at when it is whole."""
        if not slicer.mrmlScene.IsImporting():
            self._panel.onNodeAdded()

    def onNodeRemoved(self, caller: Any, event: Any) -> None:
        self._panel.updateSoon()

    def initializeParameterNode(self) -> None:
        """Take the scene's parameter node, made if need be."""
        if not slicer.mrmlScene.IsClosing():
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node) -> None:
        """Show and follow this parameter node, or none."""
        current = self._panel.parameterNode
        if current is not None and self.hasObserver(current, "ModifiedEvent", self.onParameterNodeModified):
            self.removeObserver(current, "ModifiedEvent", self.onParameterNodeModified)
        if node is not None:
            self.addObserver(node, "ModifiedEvent", self.onParameterNodeModified)
        self._panel.setParameterNode(node)

    def onParameterNodeModified(self, caller: Any, event: Any) -> None:
        self._panel.update()
