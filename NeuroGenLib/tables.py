"""Result tables: columns of numbers and words as a table node, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import slicer
import vtk

Columns = Mapping[str, Sequence[int | float | str]]


def tableNode(name: str, columns: Columns, *, descriptions: Mapping[str, str] | None = None):
    """A new table node; see `setColumns`."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    setColumns(node, columns, descriptions=descriptions)
    return node


def setColumns(node, columns: Columns, *, descriptions: Mapping[str, str] | None = None) -> None:
    """Replace the content of a table node.

    A column is whole numbers, numbers or text, as its values are; mixed ones become text. `descriptions` explain
    columns. Raises ValueError when the columns are not equally long.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns of {node.GetName()} are not equally long: {lengths}.")
    wasModifying = node.StartModify()
    node.RemoveAllColumns()
    for name, values in columns.items():
        node.AddColumn(_vtkArray(name, values))
    for name, description in (descriptions or {}).items():
        if name in columns:
            node.SetColumnDescription(name, description)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.EndModify(wasModifying)


def columnsOf(node) -> dict[str, list[int | float | str]]:
    """The content of a table node."""
    table = node.GetTable()
    columns = (table.GetColumn(k) for k in range(table.GetNumberOfColumns()))
    return {column.GetName(): [_plain(column, row) for row in range(table.GetNumberOfRows())] for column in columns}


def rowOf(node, row: int) -> dict[str, int | float | str]:
    """One row of a table node, by column name."""
    return {name: values[row] for name, values in columnsOf(node).items()}


def readTsv(path: str | Path) -> dict[str, list[int | float | str]]:
    """The columns of a tab-separated file with a header; a column of numbers only is read as numbers."""
    header, *rows = [line.split("\t") for line in Path(path).read_text(encoding="utf-8").splitlines() if line]
    return {name: _numbers([row[k] for row in rows]) for k, name in enumerate(header)}


def _vtkArray(name: str, values: Sequence[int | float | str]):
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        array, cells = vtk.vtkLongArray(), values
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        array, cells = vtk.vtkDoubleArray(), map(float, values)
    else:
        array, cells = vtk.vtkStringArray(), map(str, values)
    array.SetName(name)
    for cell in cells:
        array.InsertNextValue(cell)
    return array


def _plain(column, row: int) -> int | float | str:
    value = column.GetVariantValue(row)
    if value.IsString():
        return value.ToString()
    return value.ToLongLong() if column.IsIntegral() else value.ToDouble()


def _numbers(cells: Sequence[str]) -> list[int | float | str]:
    for kind in (int, float):
        try:
            return [kind(cell) for cell in cells]
        except ValueError:
            continue
    return list(cells)
