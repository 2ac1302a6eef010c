"""Stand-ins for ctk's containers, buttons and dialogs: the members that our modules use, with Slicer's names."""

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGroupBox,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOption,
    QToolButton,
    QWidget,
)

HEADER_PIXELS = 26


class _Collapsing:
    """Hides the children of a widget and limits its height, and gives both back."""

    def _collapse(self, collapsed: bool, header: int) -> None:
        self.setMaximumHeight(header if collapsed else 16777215)
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(not collapsed)
        self.updateGeometry()
        self.update()


class ctkCollapsibleButton(QWidget, _Collapsing):
    """A titled section that opens and closes."""

    standIn = True
    toggled = Signal(bool)
    clicked = Signal(bool)
    contentsCollapsed = Signal(bool)

    def __init__(self, textOrParent: object = None, parent: QWidget | None = None):
        super().__init__(parent if isinstance(textOrParent, str) else textOrParent)
        self._text = textOrParent if isinstance(textOrParent, str) else ""
        self._collapsed = False
        self.setContentsMargins(0, HEADER_PIXELS, 0, 0)

    def _setText(self, text: str) -> None:
        self._text = text
        self.update()

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._collapse(collapsed, HEADER_PIXELS)
        self.toggled.emit(not collapsed)
        self.contentsCollapsed.emit(collapsed)

    text = Property(str, lambda self: self._text, _setText)
    collapsed = Property(bool, lambda self: self._collapsed, _setCollapsed)
    checked = Property(bool, lambda self: not self._collapsed, lambda self, on: self._setCollapsed(not on))

    def setText(self, text: str) -> None:
        self._setText(text)

    def setCollapsed(self, collapsed: bool) -> None:
        self._setCollapsed(collapsed)

    def setChecked(self, checked: bool) -> None:
        self._setCollapsed(not checked)

    def isChecked(self) -> bool:
        return not self._collapsed

    def click(self) -> None:
        self._setCollapsed(not self._collapsed)
        self.clicked.emit(not self._collapsed)

    def mousePressEvent(self, event) -> None:
        if event.position().y() < HEADER_PIXELS:
            self.click()

    def childEvent(self, event) -> None:
        super().childEvent(event)
        if event.added() and self._collapsed and isinstance(event.child(), QWidget):
            event.child().setVisible(False)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, HEADER_PIXELS) if self._collapsed else QWidget.minimumSizeHint(self)

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.fillRect(QRect(0, 0, self.width, HEADER_PIXELS - 2), self.palette.color(QPalette.ColorRole.Button))
        _paintArrow(self, painter, self._collapsed)
        place = QRect(22, 0, self.width - 24, HEADER_PIXELS - 2)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self._text)


class ctkCollapsibleGroupBox(QGroupBox, _Collapsing):
    """A group box that opens and closes by the arrow in its title."""

    standIn = True

    def __init__(self, titleOrParent: object = None, parent: QWidget | None = None):
        super().__init__(parent if isinstance(titleOrParent, str) else titleOrParent)
        self._collapsed = False
        if isinstance(titleOrParent, str):
            self.setTitle(titleOrParent)

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed != self._collapsed:
            self._collapsed = collapsed
            self._collapse(collapsed, HEADER_PIXELS)

    collapsed = Property(bool, lambda self: self._collapsed, _setCollapsed)

    def setCollapsed(self, collapsed: bool) -> None:
        self._setCollapsed(collapsed)

    def mousePressEvent(self, event) -> None:
        if event.position().y() < HEADER_PIXELS:
            self._setCollapsed(not self._collapsed)

    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.translate(QPoint(self.width - 22, 0))
        _paintArrow(self, painter, self._collapsed)


def _paintArrow(widget: QWidget, painter: QPainter, collapsed: bool) -> None:
    option = QStyleOption()
    option.initFrom(widget)
    option.rect = QRect(4, 4, 14, 14)
    primitive = QStyle.PrimitiveElement.PE_IndicatorArrowRight
    if not collapsed:
        primitive = QStyle.PrimitiveElement.PE_IndicatorArrowDown
    widget.style().drawPrimitive(primitive, option, painter, widget)


class ctkMessageBox(QMessageBox):
    """Qt's message box with "don't show this again"."""

    standIn = True

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._settingsKey = ""

    def _setSettingsKey(self, key: str) -> None:
        self._settingsKey = key

    dontShowAgainSettingsKey = Property(str, lambda self: self._settingsKey, _setSettingsKey)


class ctkComboBox(QComboBox):
    """Qt's combo box with a text for 'nothing chosen'."""

    standIn = True

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._defaultText = ""

    def _setDefaultText(self, text: str) -> None:
        self._defaultText = text

    defaultText = Property(str, lambda self: self._defaultText, _setDefaultText)


class ctkCheckBox(QCheckBox):
    """Qt's check box (ctk adds icons)."""

    standIn = True


class ctkPushButton(QPushButton):
    """Qt's push button (ctk aligns its text)."""

    standIn = True


class ctkExpandButton(QToolButton):
    """A tool button whose arrow turns."""

    standIn = True
