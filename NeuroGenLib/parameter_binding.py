"""Widgets bound to a parameter node: each shows one setting or one node, and writes what the user changes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import slicer

from NeuroGenLib.parameters import readSettings, writeSettings


class ParameterBinding:
    """Keeps widgets the same as the settings and node references of the current parameter node.

    Bind each widget once, then call `update` whenever the node has changed; that writes nothing back.
    """

    def __init__(self, parameterNode: Callable[[], Any], kind: type, onChanged: Callable[[], None]) -> None:
        """`parameterNode()` is the current one, None while a scene closes; `kind` is a frozen dataclass of settings;
        `onChanged()` follows every change by the user."""
        self.isUpdating = False
        self._parameterNode, self._kind, self._onChanged = parameterNode, kind, onChanged
        self._shows: list[Callable[[Any], None]] = []

    @property
    def settings(self) -> Any:
        """What the parameter node holds, or the defaults."""
        return readSettings(self._parameterNode(), self._kind)

    def node(self, role: str):
        """The node that the parameter node refers to, None where there is none in the scene."""
        parameterNode = self._parameterNode()
        found = parameterNode.GetNodeReference(role) if parameterNode is not None else None
        return found if found is not None and slicer.mrmlScene.IsNodePresent(found) else None

    def change(self, **changes: Any) -> None:
        """Write settings that the user changed; nothing while widgets are being updated."""
        parameterNode = self._parameterNode()
        if not self.isUpdating and parameterNode is not None:
            writeSettings(parameterNode, replace(self.settings, **changes))
            self._onChanged()

    def refer(self, role: str, node) -> None:
        """Write a node that the user chose, or None; nothing while widgets are being updated."""
        parameterNode = self._parameterNode()
        if not self.isUpdating and parameterNode is not None:
            parameterNode.SetNodeReferenceID(role, _idOf(node))
            self._onChanged()

    def update(self, more: Callable[[Any], None] | None = None) -> None:
        """Let every bound widget show what the parameter node holds; then `more(settings)` shows the rest."""
        if self.isUpdating:
            return
        with self.updating():
            settings = self.settings
            for show in self._shows:
                show(settings)
            if more is not None:
                more(settings)

    @contextmanager
    def updating(self) -> Iterator[None]:
        """While widgets are changed by us and not by the user."""
        before, self.isUpdating = self.isUpdating, True
        try:
            yield
        finally:
            self.isUpdating = before

    def fill(self, combo, titles: Mapping[str, str]) -> None:
        """Offer these values, each by its title."""
        with self.updating():
            combo.clear()
            for value, title in titles.items():
                combo.addItem(title, value)

    def bindChoice(self, combo, name: str) -> None:
        """A combo box whose items hold the values of a setting; one that it lacks is shown as no choice."""

        def write(index: int) -> None:
            if index >= 0:
                self.change(**{name: combo.itemData(index)})

        combo.connect("currentIndexChanged(int)", write)
        self._shows.append(lambda settings: combo.setCurrentIndex(combo.findData(getattr(settings, name))))

    def bindCheck(self, button, name: str) -> None:
        """A check box, or a button that stays down."""
        button.connect("toggled(bool)", lambda on: self.change(**{name: on}))
        self._bindProperty(button, "checked", name)

    def bindNumber(self, widget, name: str) -> None:
        """A spin box or slider of the setting's type."""
        kind = "int" if isinstance(getattr(self._kind(), name), int) else "double"
        widget.connect(f"valueChanged({kind})", lambda value: self.change(**{name: value}))
        self._bindProperty(widget, "value", name)

    def bindText(self, lineEdit, name: str) -> None:
        """A line of text, taken when the user has finished it."""
        lineEdit.connect("editingFinished()", lambda: self.change(**{name: lineEdit.text}))
        self._bindProperty(lineEdit, "text", name)

    def bindNode(self, selector, role: str) -> None:
        """A node selector."""

        def show(settings: Any) -> None:
            node = self.node(role)
            if _idOf(selector.currentNode()) != _idOf(node):
                selector.setCurrentNode(node)

        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self.refer(role, node))
        self._shows.append(show)

    def _bindProperty(self, widget, attribute: str, name: str) -> None:
        self._shows.append(lambda settings: setattr(widget, attribute, getattr(settings, name)))


def _idOf(node) -> str | None:
    return node.GetID() if node is not None else None
