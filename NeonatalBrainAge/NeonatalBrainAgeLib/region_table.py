"""The table of regions in the panel: sortable by every column, a click tells which region."""

from collections.abc import Callable, Mapping, Sequence

import qt

from NeuroGenLib.i18n import tr as _

COLUMNS = {
    "name": (_("Region"), None),
    "svr_z": (_("SVR z"), 2),
    "rv_z": (_("RV z"), 2),
    "volume_ml": (_("ml"), 2),
    "svr_centile": (_("SVR centile"), 0),
    "rv_centile": (_("RV centile"), 0),
    "importance": (_("Importance"), 2),
    "label": (_("Label"), 0),
}
ROW_PIXELS = 22
NAME_PIXELS = 150  # longer names are cut, so that the numbers beside them are seen
LABEL_COLUMN = list(COLUMNS).index("label")


class RegionTable:
    """Fills a QTableWidget; numbers are sorted as numbers."""

    def __init__(self, widget, onRegion: Callable[[int], None]) -> None:
        """`onRegion(label)` follows a click on a row."""
        self._widget = widget
        self._onRegion = onRegion
        widget.setColumnCount(len(COLUMNS))
        widget.setHorizontalHeaderLabels([title for title, _decimals in COLUMNS.values()])
        widget.verticalHeader().setVisible(False)
        widget.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        widget.connect("cellClicked(int,int)", self._onCell)

    def fill(self, rows: Sequence[Mapping]) -> None:
        """Show these regions, in the order in which the user sorted before."""
        table = self._widget
        table.setSortingEnabled(False)
        table.setRowCount(len(rows))
        for k, row in enumerate(rows):
            for column, (name, (_title, decimals)) in enumerate(COLUMNS.items()):
                table.setItem(k, column, _item(row[name], decimals))
        table.setSortingEnabled(True)
        table.resizeColumnsToContents()
        table.setColumnWidth(0, min(table.columnWidth(0), NAME_PIXELS))

    def select(self, label: int) -> None:
        """Mark the row of a region."""
        for row in range(self._widget.rowCount):
            if self._labelAt(row) == label:
                self._widget.selectRow(row)
                return

    def labels(self) -> list[int]:
        """The labels in the order shown."""
        return [self._labelAt(row) for row in range(self._widget.rowCount)]

    def _labelAt(self, row: int) -> int:
        return int(self._widget.item(row, LABEL_COLUMN).data(qt.Qt.DisplayRole))

    def _onCell(self, row: int, column: int) -> None:
        self._onRegion(self._labelAt(row))


def _item(value, decimals: int | None):
    item = qt.QTableWidgetItem()
    if decimals is None:
        item.setText(str(value))
    else:
        item.setData(qt.Qt.DisplayRole, int(value) if decimals == 0 else round(float(value), decimals))
    return item
