"""Scripted modules as the application holds them: the module object, its widget and the module manager."""

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6.QtCore import SIGNAL, Property, QObject, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget


class qSlicerScriptedLoadableModule(QObject):
    """What a module class gets as its parent: a few named texts, and nothing else can be set on it."""

    standIn = True

    def __init__(self, name: str, path: Path):
        super().__init__()
        self._name, self._path, self._widget, self._instance = name, str(path), None, None
        self._values = {"title": name, "helpText": "", "acknowledgementText": "", "hidden": False}
        self._values |= {"categories": [], "contributors": [], "dependencies": [], "icon": None, "index": -1}

    def _value(name: str) -> property:
        def write(self, value: object) -> None:
            self._values[name] = value

        return property(lambda self: self._values[name], write)

    title, helpText, acknowledgementText = _value("title"), _value("helpText"), _value("acknowledgementText")
    categories, contributors, dependencies = _value("categories"), _value("contributors"), _value("dependencies")
    hidden, icon, index = _value("hidden"), _value("icon"), _value("index")
    name = Property(str, lambda self: self._name)
    path = Property(str, lambda self: self._path)

    def widgetRepresentation(self) -> "qSlicerScriptedLoadableModuleWidget":
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self) -> "qSlicerScriptedLoadableModuleWidget":
        return qSlicerScriptedLoadableModuleWidget(self._name)

    def dropWidget(self) -> None:
        """Forget the widget, as at the end of the application; its Python part cleans up."""
        if self._widget is not None:
            self._widget.self().cleanup()
            self._widget.deleteLater()
            self._widget = None


class qSlicerScriptedLoadableModuleWidget(QWidget):
    """The frame round a module's Python widget; the Python widget's `parent`."""

    standIn = True
    mrmlSceneChanged = Signal(object)
    vtkSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def __init__(self, moduleName: str):
        super().__init__()
        self._moduleName, self._entered, self._python = moduleName, False, None
        self.setLayout(QVBoxLayout())
        self.reload()

    def reload(self) -> None:
        """Make the Python widget anew from the module's file as it is imported now, and set it up."""
        kind = getattr(sys.modules[self._moduleName], f"{self._moduleName}Widget")
        self._python = kind(self)
        setattr(slicer.modules, f"{self._moduleName}Widget", self._python)
        self._python.setup()

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene

    def self(self) -> object:
        return self._python


class ModuleManager(QObject):
    """Which modules there are."""

    standIn = True
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self._modules = {}

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def module(self, name: str) -> qSlicerScriptedLoadableModule | None:
        return self._modules.get(name)

    def load(self, path: Path) -> qSlicerScriptedLoadableModule:
        """Import a module file, make its module object, put it into `slicer.modules`."""
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        python = importlib.util.module_from_spec(spec)
        sys.modules[name] = python
        spec.loader.exec_module(python)
        module = qSlicerScriptedLoadableModule(name, path)
        module._instance = getattr(python, name)(module)
        self._modules[name] = module
        setattr(slicer.modules, name.lower(), module)
        setattr(slicer.modules, f"{name}Instance", module._instance)
        return module

    def unload(self, name: str) -> None:
        module = self._modules.pop(name)
        self.moduleAboutToBeUnloaded.emit(name)
        application = self.parent()
        if application.receivers(SIGNAL("startupCompleted()")):  # the real application starts once
            application.startupCompleted.disconnect()
        module.dropWidget()
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)
        sys.modules.pop(name, None)
