"""PySide6 made to behave like PythonQt, the Qt of Slicer's Python.

What differs between the two, and is made the same here, for every QObject class at once:

* a Qt property is an attribute: `label.text` is a string and `label.text()` fails;
* an attribute that does not exist can be neither read nor written: `label.txt = ""` fails;
* `button.connect("clicked(bool)", f)` takes the C++ signature, and a signature that does not exist fails;
* `className()`, `name` and `delete()` exist; `Signal`, `Slot` and `Property` do not.
"""

import contextlib
import inspect
import re
import types
from collections.abc import Callable, Iterator

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)
_PYSIDE_ONLY = {"Signal", "Slot", "Property", "ClassInfo", "SIGNAL", "SLOT", "QUiLoader", "SignalInstance"}
_plain_setattr = QtCore.QObject.__mro__[1].__setattr__
_sbk_connect = QtCore.QObject.connect
_sbk_disconnect = QtCore.QObject.disconnect
_loading: list[bool] = []


class QtProperty:
    """A Qt property as PythonQt shows it: a value to read and write. On the class it stays the method it was."""

    def __init__(self, name: str, method: object):
        self.name, self.method, self._asked = name, method, set()

    def __get__(self, instance: QtCore.QObject | None, owner: type | None = None) -> object:
        if instance is None:
            return self if self.method is None else getattr(self.method, "__func__", self.method)
        if id(instance) in self._asked:  # C++ looks whether Python overrides the reader, as it may sizeHint
            return self.method.__get__(instance, owner)
        self._asked.add(id(instance))
        try:
            return instance.property(self.name)
        finally:
            self._asked.discard(id(instance))

    def __set__(self, instance: QtCore.QObject, value: object) -> None:
        _write(instance, self.name, value)


def patch() -> None:
    """Change all QObject classes of PySide6, for the rest of the process."""
    for qtClass in _qobjectClasses():
        for name in _propertiesToPatch(qtClass):
            setattr(qtClass, name, QtProperty(name, qtClass.__dict__.get(name)))
        qtClass.__setattr__ = _setattr
    # Methods that are static and not, as connect, are found by the classes' own lookup, before any attribute.
    for qtClass, lookup in [(qtClass, qtClass.__getattribute__) for qtClass in _qobjectClasses()]:
        qtClass.__getattribute__ = _attributeReader(lookup)
    QtCore.QObject.connect = connect
    QtCore.QObject.disconnect = disconnect
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.name = QtProperty("objectName", None)
    QtCore.QObject.delete = lambda self: self.deleteLater()


def qtNamespace() -> types.ModuleType:
    """A module `qt` with what `import qt` gives in Slicer."""
    qt = types.ModuleType("qt", "Qt as PythonQt shows it (test host)")
    for module in _MODULES:
        for name in dir(module):
            if not name.startswith("_") and name not in _PYSIDE_ONLY:
                setattr(qt, name, getattr(module, name))
    return qt


@contextlib.contextmanager
def loadingForm() -> Iterator[None]:
    """PySide6 makes a form's widgets attributes of its root while it is read; PythonQt does not, so neither here."""
    _loading.append(True)
    try:
        yield
    finally:
        _loading.pop()


def isQtProperty(qtClass: type, name: str) -> bool:
    """Whether objects of a class have a Qt property of that name."""
    return isinstance(inspect.getattr_static(qtClass, name, None), QtProperty | QtCore.Property)


def signalSignature(sender: QtCore.QObject, signature: str) -> str:
    """The signature Qt knows for `signature`; ValueError, naming what there is, when the sender has no such signal."""
    plain = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
    plain = getattr(sender, "vtkSignals", {}).get(plain, plain)
    if sender.metaObject().indexOfSignal(plain) >= 0:
        return plain
    name = re.match(r"\w*", signature).group()
    known = [one for one in _signals(sender) if one.startswith(f"{name}(")] or _signals(sender)
    raise ValueError(f"{sender.className()} {sender.objectName!r} has no signal {signature!r}; it has {known}")


def connect(self: QtCore.QObject, *arguments: object) -> bool:
    """`sender.connect("signal(type)", callable)` or `sender.connect("signal(type)", receiver, "slot(type)")`."""
    if isinstance(arguments[0], QtCore.QObject):  # PySide6 itself, as in QTimer.singleShot
        return _sbk_connect(*arguments)
    signal, receiver, *slot = arguments
    return _sbk_connect(self, QtCore.SIGNAL(signalSignature(self, signal)), _callable(receiver, *slot))


def disconnect(self: QtCore.QObject, signal: str, receiver: object, slot: str | None = None) -> bool:
    """Undo `connect` called with the same arguments."""
    return _sbk_disconnect(self, QtCore.SIGNAL(signalSignature(self, signal)), _callable(receiver, slot))


def _write(instance: QtCore.QObject, name: str, value: object) -> None:
    if not instance.setProperty(name, value):
        raise TypeError(f"{type(instance).__name__}.{name} does not take {value!r} ({type(value).__name__})")


def _callable(receiver: object, slot: str | None = None) -> Callable:
    if slot is None:
        if not callable(receiver):
            raise TypeError(f"connect needs something to call, and got {receiver!r}")
        return receiver
    name = re.match(r"\w*", slot).group()
    method = getattr(receiver, name, None)
    if not callable(method):
        raise ValueError(f"{type(receiver).__name__} has no slot {slot!r}")
    return method


def _signals(sender: QtCore.QObject) -> list[str]:
    meta = sender.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    return [bytes(m.methodSignature()).decode() for m in methods if m.methodType() == QtCore.QMetaMethod.Signal]


def _qobjectClasses() -> Iterator[type]:
    seen = set()
    for module in _MODULES:
        for name in dir(module):
            member = getattr(module, name)
            if inspect.isclass(member) and issubclass(member, QtCore.QObject) and member not in seen:
                seen.add(member)
                yield member


def _propertiesToPatch(qtClass: type) -> Iterator[str]:
    """Names of the class's own properties, and of inherited ones whose reader it overrides."""
    meta = qtClass.staticMetaObject
    for index in range(meta.propertyCount()):
        name = meta.property(index).name()
        if index >= meta.propertyOffset() or name in qtClass.__dict__:
            yield name


def _attributeReader(lookup: Callable) -> Callable:
    def read(self: QtCore.QObject, name: str) -> object:
        if name in ("connect", "disconnect"):
            return types.MethodType(globals()[name], self)
        return lookup(self, name)

    return read


def _setattr(self: QtCore.QObject, name: str, value: object) -> None:
    own = type(self)
    member = inspect.getattr_static(own, name, None)
    if isinstance(value, QtCore.SignalInstance):  # PySide6 keeps a signal that was looked up
        _plain_setattr(self, name, value)
    elif isinstance(member, QtCore.Property):
        _write(self, name, value)
    elif hasattr(type(member), "__set__"):
        member.__set__(self, value)
    elif own.__module__.startswith("PySide6") or (getattr(own, "standIn", False) and not name.startswith("_")):
        if not (_loading and isinstance(value, QtCore.QObject)):
            raise AttributeError(
                f"{own.__name__} has no attribute {name!r}, and new attributes cannot be made on C++ objects"
            )
    else:
        _plain_setattr(self, name, value)
