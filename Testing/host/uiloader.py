"""Reads `.ui` files as Slicer's QUiLoader does, and refuses what Slicer would silently drop.

An unknown class, a property that the class does not have, a name used twice and a connection between members that do
not exist are errors here; Qt's own loader prints a line at most. The `<connections>` are made in Python, because the
stand-ins' signals that carry MRML objects have another signature in PySide6.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from PySide6 import QtCore, QtUiTools, QtWidgets

from .pythonqt import isQtProperty, loadingForm

_plainLoader = QtUiTools.QUiLoader


def makeUiLoader(standIns: Mapping[str, type]) -> type:
    """A class QUiLoader whose widgets are Qt's own and the given stand-ins, by class name."""

    class QUiLoader(_plainLoader):
        def createWidget(self, className: str, parent: QtWidgets.QWidget | None = None, name: str = ""):
            if className not in standIns:
                return super().createWidget(className, parent, name)
            widget = standIns[className](parent)
            widget.setObjectName(name)
            return widget

        def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
            root = ElementTree.fromstring(bytes(device.readAll()))
            checkForm(root, standIns)
            connections = root.findall("./connections/connection")
            for element in root.findall("connections"):
                root.remove(element)
            buffer = QtCore.QBuffer(self)
            buffer.setData(ElementTree.tostring(root))
            with loadingForm():
                widget = super().load(buffer, parent)
            for connection in connections:
                _connect(widget, connection)
            return widget

    return QUiLoader


def checkForm(root: ElementTree.Element, standIns: Mapping[str, type]) -> None:
    """Raise RuntimeError with all mistakes in a parsed `.ui` file."""
    problems, names = [], set()
    for widget in root.iter("widget"):
        name = widget.get("name")
        if name in names:
            problems.append(f"the name {name!r} is used twice")
        names.add(name)
        problems += _widgetProblems(widget, standIns)
    if problems:
        raise RuntimeError(f"The form {root.findtext('class')!r} is wrong: " + "; ".join(problems))


def _widgetProblems(widget: ElementTree.Element, standIns: Mapping[str, type]) -> list[str]:
    className, name = widget.get("class"), widget.get("name")
    if className == "Line":
        return []
    qtClass = standIns.get(className) or getattr(QtWidgets, className, None)
    if qtClass is None:
        return [f"the class {className!r} of {name!r} is unknown"]
    return [
        f"{className} {name!r} has no property {prop.get('name')!r}"
        for prop in widget.findall("property")
        if prop.get("stdset") != "0" and not isQtProperty(qtClass, prop.get("name"))
    ]


def _connect(form: QtWidgets.QWidget, connection: ElementTree.Element) -> None:
    sender, receiver = (_named(form, connection.findtext(end)) for end in ("sender", "receiver"))
    sender.connect(connection.findtext("signal"), receiver, connection.findtext("slot"))


def _named(form: QtWidgets.QWidget, name: str) -> QtCore.QObject:
    found = form if form.objectName == name else form.findChild(QtCore.QObject, name)
    if found is None:
        raise RuntimeError(f"The form {form.objectName!r} connects {name!r}, which is not in it")
    return found
