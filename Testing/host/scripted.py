"""The base classes of scripted modules, and how a test loads and enters one."""

import logging
import unittest
from pathlib import Path

import slicer
from PySide6.QtWidgets import QVBoxLayout, QWidget


class ScriptedLoadableModule:
    """Base of a module: holds its parent, whose texts the module sets."""

    def __init__(self, parent: object):
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return f"<p>For more information see the documentation of {docPage or self.moduleName}.</p>"


class ScriptedLoadableModuleWidget:
    """Base of a module's panel."""

    def __init__(self, parent: QWidget | None = None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.logic = None
        self.parent = parent if parent is not None else QWidget()
        if self.parent.layout() is None:
            self.parent.setLayout(QVBoxLayout())
        self.layout = self.parent.layout()

    def setup(self) -> None:
        """The real one adds the developer's Reload & Test section."""

    def enter(self) -> None:
        pass

    def exit(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def onReload(self) -> object:
        logging.info("Reloading %s", self.moduleName)
        return slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of a module's logic: the parameter node."""

    def __init__(self, parent: object = None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else self.createParameterNode()

    def getAllParameterNodes(self) -> list[slicer.vtkMRMLScriptedModuleNode]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetNodeReferenceID("dummy", None)
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's own tests."""

    def __init__(self, *arguments: object):
        super().__init__(*(arguments or ("runTest",)))
        self.messageDelay = 0

    def runTest(self) -> None:
        """Modules override this and call their tests."""

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        logging.info(message)


def load_module(path: str | Path) -> tuple[object, object]:
    """Import a module file as the application does at its start; (the Python module, the module's instance)."""
    import sys

    module = slicer.app.moduleManager().load(Path(path).resolve())
    return sys.modules[module.name], module._instance


def enter(name: str) -> object:
    """Open a module's panel as a user does; the Python widget."""
    frame = slicer.app.moduleManager().module(name).widgetRepresentation()
    frame.show()
    frame._entered = True
    frame.self().enter()
    return frame.self()


def leave(name: str) -> None:
    """Go to another module: the panel is hidden and told so."""
    frame = slicer.app.moduleManager().module(name).widgetRepresentation()
    frame._entered = False
    frame.self().exit()
    frame.hide()


def unload(name: str) -> None:
    """End a module as the end of the application does."""
    slicer.app.moduleManager().unload(name)
