"""The page of results: rows of several files in one table, provenance below, nothing lost, wrong files refused."""

import json
import shutil
import subprocess

import pytest
import torch

from neurogen.cli import main
from neurogen.errors import InputRefused, UsageError
from neurogen.evaluation import choices
from neurogen.evaluation.page import page
from neurogen.evaluation.provenance import commit
from neurogen.evaluation.tables import Table
from neurogen.models import write_model


def result(folder, name, rows, *, benchmark="flair-stroke", split=None, models=None):
    facts = {
        "benchmark": benchmark, "data": {"file": "slices.npz", "slices": 9}, "split": split or {"evaluated": 5},
        "version": "0.1.0", "commit": f"abc-{name}", "models": models or {},
    }  # fmt: skip
    columns = tuple(dict.fromkeys(c for cells in rows.values() for c in cells))
    intervals = {row: {c: (v - 0.1, v + 0.1) for c, v in cells.items()} for row, cells in rows.items()}
    Table(rows, columns, intervals, ("A note.",), facts).write_json(folder / f"{name}.json")


def test_rows_of_several_files_stand_in_one_table_and_say_where_they_come_from(tmp_path):
    result(tmp_path, "1", {"mad-ad": {"auprc": 0.6, "fp_ml": 0.2}}, models={"mad-ad": {"adult-mad-ad": "f" * 64}})
    result(tmp_path, "2", {"reflect": {"auprc": 0.65, "fp_ml": 0.3}})
    text = page(tmp_path)
    assert text.count("## Acute stroke") == 1 and text.count("- A note.") == 1
    lines = text.splitlines()
    start = lines.index("|  | auprc |")
    assert lines[start + 2 : start + 4] == ["| mad-ad | 0.600 [0.500, 0.700] |", "| reflect | 0.650 [0.550, 0.750] |"]
    assert "commit abc-1; rows mad-ad; weights adult-mad-ad (ffffffff)" in text
    assert "commit abc-2; rows reflect" in text
    assert "auprc_rim              the same within 8 mm" in text  # what the benchmark's module says of its columns


def test_of_a_row_in_two_files_the_last_counts(tmp_path):
    result(tmp_path, "a", {"mad-ad": {"auprc": 0.1}})
    result(tmp_path, "b", {"mad-ad": {"auprc": 0.7}})
    assert "0.700" in page(tmp_path) and "| mad-ad | 0.100" not in page(tmp_path)


def test_another_split_is_another_table(tmp_path):
    result(tmp_path, "a", {"mad-ad": {"auprc": 0.1}})
    result(tmp_path, "b", {"mad-ad": {"auprc": 0.7}}, split={"evaluated": 2})
    assert page(tmp_path).count("|  | auprc |") == 2


def test_no_column_is_lost(tmp_path):
    cells = {"recall_1ml": 0.5, "ms_p1_auprc": 0.25, "fp_ml": 1.0, "fp_ml_20s": 2.0, "brand_new": 0.75}
    result(tmp_path, "a", {"mad-ad": cells}, benchmark="planted")
    text = page(tmp_path)
    for value in cells.values():
        assert text.count(f"{value:.3f} [") == 1
    assert text.index("### Patients with multiple sclerosis") < text.index("| ms_p1_auprc |") < text.index("brand_new")


@pytest.mark.parametrize("content", ["{", "[]", '{"benchmark": "flair-stroke"}', '{"rows": {}}'])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputRefused, match="x.json"):
        page(tmp_path)


def test_the_command_writes_the_page_and_refuses_an_empty_folder(tmp_path, capsys):
    (tmp_path / "results").mkdir()
    out = tmp_path / "page.md"
    assert main(["benchmark", "page", str(tmp_path / "results"), "--out", str(out)]) == 3
    assert not out.exists()
    result(tmp_path / "results", "a", {"mad-ad": {"auprc": 0.1}})
    assert main(["benchmark", "page", str(tmp_path / "results"), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == page(tmp_path / "results")
    assert json.loads((tmp_path / "results" / "a.json").read_text())["rows"]


def test_choices_are_those_of_the_manifest(tmp_path):
    tried = {"target, shift 0": 0.3, "fine, shift 1": 0.4}
    manifest = {
        "id": "mine", "version": "1", "task": "anomaly", "method": "gaussian", "contrasts": ["t1w"],
        "age_range": [20, 82], "spacing_mm": 2.0, "network": {"factory": "contrastive_cnn", "arguments": {}},
        "training_data": [], "training": {}, "measured": [], "seconds": {}, "licence": "CC0",
        "calibration": {"t1w": {"average_precision_of_planted_lesions": tried}},
    }  # fmt: skip
    write_model(tmp_path / "mine", manifest, {"w": torch.zeros(1)})
    (tmp_path / "results").mkdir()
    table = choices.run(tmp_path / "mine", json_path=tmp_path / "results" / "c.json")
    assert table.rows == {f"t1w: {name}": {"average precision": value} for name, value in tried.items()}
    assert "| t1w: fine, shift 1 | 0.400 |" in page(tmp_path / "results")
    with pytest.raises(UsageError, match="no choices for flair"):
        choices.run(tmp_path / "mine", methods=["flair"])


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_tree_of_the_code(tmp_path):
    def git(*arguments):
        name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *name, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "code").mkdir()
    assert commit(tmp_path / "code") is None
    git("init")
    (tmp_path / "code" / "__init__.py").write_text("")
    assert commit(tmp_path / "code") is None  # a tree around it, which does not hold it
    git("add", ".")
    git("commit", "-m", "first")
    head = commit(tmp_path / "code")
    assert len(head) == 10 and not head.endswith("+")
    (tmp_path / "code" / "__init__.py").write_text("x = 1")
    assert commit(tmp_path / "code") == head + "+"


def test_the_page_of_this_repository_is_what_its_results_make():
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    committed = (root / "Docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert committed == page(root / "Docs" / "results", shown_folder="Docs/results"), (
        "Run: neurogen benchmark page Docs/results --out Docs/benchmarks.md"
    )
