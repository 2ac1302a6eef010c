"""Stand-ins for ctk's sliders, ranges and path fields: the members that our modules use, with Slicer's names."""

from pathlib import Path

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLineEdit, QSlider, QToolButton, QWidget

STEPS = 10000


def _spinProperty(kind: type, reader: str, writer: str) -> Property:
    """A property that the inner spin box holds."""
    return Property(
        kind, lambda self: getattr(self._spin, reader)(), lambda self, value: getattr(self._spin, writer)(value)
    )


class ctkDoubleSlider(QWidget):
    """A slider over real numbers."""

    standIn = True
    valueChanged = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()

    def __init__(self, orientationOrParent: object = None, parent: QWidget | None = None):
        given = isinstance(orientationOrParent, Qt.Orientation)
        super().__init__(parent if given else orientationOrParent)
        self._minimum, self._maximum, self._value, self._singleStep, self._pageStep = 0.0, 99.0, 0.0, 1.0, 10.0
        self._slider = QSlider(orientationOrParent if given else Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, STEPS)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._slider.valueChanged.connect(self._moved)

    def _moved(self, position: int) -> None:
        self._setValue(self._minimum + position / STEPS * (self._maximum - self._minimum), moved=True)

    def _setValue(self, value: float, moved: bool = False) -> None:
        value = min(max(value, self._minimum), self._maximum)
        if not moved:
            width = self._maximum - self._minimum
            self._slider.blockSignals(True)
            self._slider.setValue(round((value - self._minimum) / width * STEPS) if width else 0)
            self._slider.blockSignals(False)
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def _setRange(self, minimum: float, maximum: float) -> None:
        self._minimum, self._maximum = minimum, max(minimum, maximum)
        self._setValue(self._value)

    def _keep(name: str):
        return lambda self, value: setattr(self, name, value)

    value = Property(float, lambda self: self._value, _setValue)
    minimum = Property(float, lambda self: self._minimum, lambda self, v: self._setRange(v, self._maximum))
    maximum = Property(float, lambda self: self._maximum, lambda self, v: self._setRange(self._minimum, v))
    singleStep = Property(float, lambda self: self._singleStep, _keep("_singleStep"))
    pageStep = Property(float, lambda self: self._pageStep, _keep("_pageStep"))
    orientation = Property(
        Qt.Orientation, lambda self: self._slider.orientation, lambda self, o: self._slider.setOrientation(o)
    )

    def setValue(self, value: float) -> None:
        self._setValue(value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._setRange(minimum, maximum)

    def setMinimum(self, minimum: float) -> None:
        self._setRange(minimum, self._maximum)

    def setMaximum(self, maximum: float) -> None:
        self._setRange(self._minimum, maximum)


class ctkSliderWidget(QWidget):
    """A slider with a number field beside it."""

    standIn = True
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._tracking = True
        self._slider, self._spin = ctkDoubleSlider(self), QDoubleSpinBox(self)
        self._spin.setRange(0, 99)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._slider.valueChanged.connect(self._slid)
        self._spin.valueChanged.connect(self._typed)

    def _slid(self, value: float) -> None:
        self.valueIsChanging.emit(value)
        self._spin.setValue(value)

    def _typed(self, value: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(value)
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _setValue(self, value: float) -> None:
        self._spin.setValue(value)

    def _setRange(self, minimum: float, maximum: float) -> None:
        self._slider.setRange(minimum, maximum)
        self._spin.setRange(minimum, maximum)

    def _setSingleStep(self, step: float) -> None:
        self._spin.setSingleStep(step)

    def _setTracking(self, tracking: bool) -> None:
        self._tracking = tracking

    value = Property(float, lambda self: self._spin.value, _setValue)
    minimum = Property(float, lambda self: self._spin.minimum, lambda self, v: self._setRange(v, self._spin.maximum))
    maximum = Property(float, lambda self: self._spin.maximum, lambda self, v: self._setRange(self._spin.minimum, v))
    singleStep = Property(float, lambda self: self._spin.singleStep, _setSingleStep)
    pageStep = Property(float, lambda self: self._slider.pageStep, lambda self, v: setattr(self._slider, "pageStep", v))
    decimals = Property(int, lambda self: self._spin.decimals, lambda self, v: self._spin.setDecimals(v))
    suffix = Property(str, lambda self: self._spin.suffix, lambda self, v: self._spin.setSuffix(v))
    prefix = Property(str, lambda self: self._spin.prefix, lambda self, v: self._spin.setPrefix(v))
    tracking = Property(bool, lambda self: self._tracking, _setTracking)
    spinBoxVisible = Property(bool, lambda self: not self._spin.isHidden(), lambda self, v: self._spin.setVisible(v))

    def setValue(self, value: float) -> None:
        self._setValue(value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._setRange(minimum, maximum)

    def setMinimum(self, minimum: float) -> None:
        self._setRange(minimum, self._spin.maximum)

    def setMaximum(self, maximum: float) -> None:
        self._setRange(self._spin.minimum, maximum)

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    def reset(self) -> None:
        self._setValue(self._spin.minimum)


class ctkRangeWidget(QWidget):
    """Two numbers within a range, the lower never above the upper."""

    standIn = True
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    valuesChanged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._low, self._high = QDoubleSpinBox(self), QDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for spin, moved in ((self._low, self._lowMoved), (self._high, self._highMoved)):
            spin.setRange(0, 99)
            layout.addWidget(spin)
            spin.valueChanged.connect(moved)

    def _lowMoved(self, value: float) -> None:
        self._high.setValue(max(value, self._high.value))
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._high.value)

    def _highMoved(self, value: float) -> None:
        self._low.setValue(min(value, self._low.value))
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._low.value, value)

    def _both(self, method: str, *values: object) -> None:
        for spin in (self._low, self._high):
            getattr(spin, method)(*values)

    minimumValue = Property(float, lambda self: self._low.value, lambda self, v: self._low.setValue(v))
    maximumValue = Property(float, lambda self: self._high.value, lambda self, v: self._high.setValue(v))
    minimum = Property(float, lambda self: self._low.minimum, lambda self, v: self._both("setMinimum", v))
    maximum = Property(float, lambda self: self._low.maximum, lambda self, v: self._both("setMaximum", v))
    singleStep = Property(float, lambda self: self._low.singleStep, lambda self, v: self._both("setSingleStep", v))
    decimals = Property(int, lambda self: self._low.decimals, lambda self, v: self._both("setDecimals", v))
    suffix = Property(str, lambda self: self._low.suffix, lambda self, v: self._both("setSuffix", v))

    def setRange(self, minimum: float, maximum: float) -> None:
        self._both("setRange", minimum, maximum)

    def setValues(self, low: float, high: float) -> None:
        self._high.setValue(high)
        self._low.setValue(low)

    def setMinimumValue(self, value: float) -> None:
        self._low.setValue(value)

    def setMaximumValue(self, value: float) -> None:
        self._high.setValue(value)


class ctkPathLineEdit(QWidget):
    """A field for a file or folder."""

    standIn = True
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._label, self._settingKey, self._filters, self._nameFilters = "", "", 0, []
        self._edit, self._browse = QLineEdit(self), QToolButton(self)
        self._browse.setText("...")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._browse)
        self._edit.textChanged.connect(self._changed)

    def _changed(self, path: str) -> None:
        self.currentPathChanged.emit(path)
        self.validInputChanged.emit(Path(path).exists())

    def _keep(name: str):
        return lambda self, value: setattr(self, name, value)

    currentPath = Property(str, lambda self: self._edit.text, lambda self, v: self._edit.setText(v))
    label = Property(str, lambda self: self._label, _keep("_label"))
    settingKey = Property(str, lambda self: self._settingKey, _keep("_settingKey"))
    nameFilters = Property("QStringList", lambda self: self._nameFilters, _keep("_nameFilters"))
    filters = Property(int, lambda self: self._filters, _keep("_filters"))
    showBrowseButton = Property(
        bool, lambda self: not self._browse.isHidden(), lambda self, v: self._browse.setVisible(v)
    )
    # ctkPathLineEdit::Filter, QDir's values
    Dirs, Files, Drives, NoDotAndDotDot, Readable, Writable, Executable = 0x1, 0x2, 0x4, 0x6000, 0x10, 0x20, 0x40

    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(path)

    def addCurrentPathToHistory(self) -> None:
        """History belongs to the real widget's settings; here there is none to keep."""


class ctkDirectoryButton(QWidget):
    """A button that holds a folder."""

    standIn = True
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._directory = str(Path.cwd())

    def _setDirectory(self, directory: str) -> None:
        directory = str(Path(directory).absolute())
        if directory != self._directory:
            self._directory = directory
            self.directoryChanged.emit(directory)

    directory = Property(str, lambda self: self._directory, _setDirectory)
