"""Tables: three faces of the same numbers."""

import json
import math

import numpy as np
import pytest

from neurogen.evaluation.tables import Table


@pytest.fixture
def table():
    return Table(
        rows={"plain": {"auprc": 0.5204, "fp_ml": 12.34}, "better": {"auprc": np.float32(0.75), "fp_ml": math.nan}},
        columns=("auprc", "fp_ml"),
        intervals={"plain": {"auprc": (0.47, 0.56)}},
        notes=("Measured on noise.",),
        facts={"version": "0.1.0", "seed": np.int64(3)},
    )


def test_text_aligns_columns_and_keeps_notes(table):
    lines = table.text().splitlines()
    assert lines[0].split() == ["auprc", "fp_ml"]
    assert lines[1].split() == ["plain", "0.520", "[0.470,", "0.560]", "12.3"]
    assert lines[2].split() == ["better", "0.750", "-"]
    assert len(set(map(len, lines[:3]))) == 1
    assert lines[-1] == "Measured on noise."


def test_columns_that_do_not_fit_continue_below(table):
    blocks = table.text(width=30).split("\n\n")
    assert [block.splitlines()[0].split() for block in blocks[:2]] == [["auprc"], ["fp_ml"]]


def test_markdown_has_one_cell_for_every_column(table):
    lines = table.markdown().splitlines()[:4]
    assert all(line.count("|") == 4 for line in lines)
    assert "0.520 [0.470, 0.560]" in lines[2]


def test_json_is_strict_and_complete(table, tmp_path):
    table.write_json(tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["rows"] == {"plain": {"auprc": 0.5204, "fp_ml": 12.34}, "better": {"auprc": 0.75, "fp_ml": None}}
    assert content["intervals"] == {"plain": {"auprc": [0.47, 0.56]}}
    assert content["version"] == "0.1.0" and content["seed"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


def test_a_table_without_rows_still_prints():
    assert Table({}, ("auprc",)).text().split() == ["auprc"]
