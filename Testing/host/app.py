"""`slicer.app`: a Qt application with Slicer's members."""

import tempfile
from pathlib import Path

import slicer
from PySide6.QtCore import Property, QProcessEnvironment, QSettings, Signal
from PySide6.QtWidgets import QApplication

from .files import CoreIOManager
from .hierarchy import HierarchyKeeper
from .layout import qSlicerLayoutManager
from .libraries import Libraries, buildLibraries, moduleNamespace
from .modules import ModuleManager
from .offscreen import setUpManagers


class qSlicerApplication(QApplication):
    """The application object: scene, logics, files, views and modules."""

    standIn = True
    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    vtkSignals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def __init__(self, folder: Path):
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setApplicationVersion("5.13.0-host")
        self.setOrganizationName("NeuroGen test host")
        self._folder, self._testing, self._pauses = folder, False, 0
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "settings"))
        self._startupEnvironment = QProcessEnvironment.systemEnvironment()
        self._libraries: Libraries = buildLibraries(folder)
        setUpManagers(self._libraries.applicationLogic)
        self._hierarchy = HierarchyKeeper(self._libraries.scene)
        self._files = CoreIOManager(self._libraries)
        self._layoutManager = qSlicerLayoutManager(self._libraries)
        self._moduleManager = ModuleManager(self)

    temporaryPath = Property(str, lambda self: str(self._folder / "temporary"))
    slicerHome = Property(str, lambda self: str(self._folder / "home"))
    revision = Property(str, lambda self: "host")
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 13)
    platform = Property(str, lambda self: "linux-amd64")

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._libraries.scene

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._libraries.applicationLogic

    def coreIOManager(self) -> CoreIOManager:
        return self._files

    def ioManager(self) -> CoreIOManager:
        return self._files

    def layoutManager(self) -> qSlicerLayoutManager | None:
        return self._layoutManager

    def moduleManager(self) -> ModuleManager:
        return self._moduleManager

    def startupEnvironment(self) -> QProcessEnvironment:
        return self._startupEnvironment

    def settings(self) -> QSettings:
        return QSettings()

    def userSettings(self) -> QSettings:
        return QSettings()

    def revisionUserSettings(self) -> QSettings:
        return QSettings()

    def testingEnabled(self) -> bool:
        return self._testing

    def pauseRender(self) -> None:
        self._pauses += 1

    def resumeRender(self) -> None:
        if not self._pauses:
            raise RuntimeError("resumeRender() without pauseRender()")
        self._pauses -= 1

    def withoutLayoutManager(self, absent: bool) -> None:
        """For tests: behave as an application without views (`--no-main-window` on some systems)."""
        self._shownLayoutManager, self._layoutManager = (
            (self._layoutManager, None) if absent else (None, self._shownLayoutManager)
        )


def startApplication() -> qSlicerApplication:
    """Make the application and put it, its scene and its modules into `slicer`."""
    folder = Path(tempfile.mkdtemp(prefix="slicer-host-"))
    application = qSlicerApplication(folder)
    slicer.app = application
    slicer.modules = moduleNamespace(application._libraries)
    return application
