"""Rules for the code inside Slicer: short files and functions, logic without Qt, widgets without computation."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("NeuroGenAD", "NeonatalBrainAge", "NeuroGenHarmonize")
FILES = sorted(path for folder in (*MODULES, "NeuroGenLib") for path in (REPOSITORY / folder).rglob("*.py"))
QT = {"qt", "ctk", "PySide6", "PythonQt"}
COMPUTING = {"numpy", "scipy", "vtk", "torch", "SimpleITK"}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imports(path: Path) -> set[str]:
    """The packages that a file imports, at its top or late."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert [each.name for each in functions if each.end_lineno - each.lineno >= LONGEST_FUNCTION] == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_shows_or_computes(path):
    """What knows Qt is called panel or table; it holds no arrays, and nothing else knows Qt."""
    isWidget = path.stem.endswith(("panel", "table"))
    if isWidget:
        assert not imports(path) & COMPUTING
    elif named(path) != "NeuroGenLib/display.py":  # the timer of a flash, where there is an event loop
        assert not imports(path) & QT


@pytest.mark.parametrize("module", MODULES)
def test_a_module_derives_from_slicers_classes(module):
    """Slicer finds a module by these classes."""
    tree = ast.parse((REPOSITORY / module / f"{module}.py").read_text(encoding="utf-8"))
    bases = {node.name: {base.id for base in node.bases} for node in tree.body if isinstance(node, ast.ClassDef)}
    for kind in ("", "Widget", "Logic", "Test"):
        assert f"ScriptedLoadableModule{kind}" in bases[module + kind]
