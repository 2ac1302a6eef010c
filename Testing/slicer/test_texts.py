"""What a user reads: every text can be translated, none promises a diagnosis, and each panel says what it is for."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = [name for name in ("NeuroGenAD", "NeonatalBrainAge", "NeuroGenHarmonize") if (REPOSITORY / name).is_dir()]
FILES = sorted(path for name in (*MODULES, "NeuroGenLib") for path in (REPOSITORY / name).rglob("*.py"))
SHOWN_BY = {"text", "toolTip", "title", "windowTitle", "placeholderText", "helpText", "acknowledgementText"}
SHOWN_TO = {"setText", "setToolTip", "addItem", "showMessage", "setTitleText", "setWindowTitle", "setPlaceholderText"}
SHOWN_TO |= {"errorDisplay", "warningDisplay", "infoDisplay", "confirmOkCancelDisplay", "messageBox", "appendPlainText"}
SHOWN_TO |= {"setHorizontalHeaderLabels"}
PROMISES = re.compile(r"diagnos(?!tics)|tumou?r|cancer\b|disease|patholog|detects? (a |the )?lesion", re.IGNORECASE)


def bareTexts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every word that reaches a widget without passing `_()`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(getattr(one, "attr", "") in SHOWN_BY for one in node.targets):
            yield from _bare(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in SHOWN_TO:
            for argument in node.args[:1]:
                yield from _bare(argument)


def _bare(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "translate"):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"[A-Za-z]{2}", node.value):
        yield node.lineno, node.value
    children = [node.body, node.orelse] if isinstance(node, ast.IfExp) else ast.iter_child_nodes(node)
    if not isinstance(node, ast.Call | ast.Subscript | ast.Compare | ast.Attribute):
        for child in children:
            yield from _bare(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_text_passes_the_translation(path):
    assert list(bareTexts(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_a_bare_text_is_seen():
    source = "label.text = 'Done' if done else _('Not yet')\nbutton.setToolTip(f'Number {n}')\nx.text = _('ok') + other"
    assert [text for _, text in bareTexts(ast.parse(source))] == ["Done", "Number "]


def _texts() -> Iterator[tuple[str, str]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                yield from ((path.name, text) for text in _constants(node))
    for name in MODULES:
        for form in (REPOSITORY / name / "Resources" / "UI").glob("*.ui"):
            yield from ((form.name, element.text or "") for element in ElementTree.parse(form).iter("string"))


def _constants(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value


def test_no_text_promises_a_diagnosis():
    allowed = re.compile(r"not a diagnosis|no diagnosis", re.IGNORECASE)
    found = [(where, text) for where, text in _texts() if PROMISES.search(allowed.sub("", text))]
    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_the_panel_says_research_use_only(module):
    (form,) = (REPOSITORY / module / "Resources" / "UI").glob("*.ui")
    texts = [element.text or "" for element in ElementTree.parse(form).iter("string")]
    assert any("Research use only" in text for text in texts)
