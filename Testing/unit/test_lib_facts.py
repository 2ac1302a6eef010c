"""Models, devices and diagnostics as the panels show them, and the rules that all files of NeuroGenLib keep."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurogen.errors import ModelUnavailable, UsageError
from neurogen.models import ModelStore
from NeuroGenLib import devices, diagnostics, models_logic
from NeuroGenLib.devices import Doctor, deviceChoices
from NeuroGenLib.outcome import Outcome

LIBRARY = Path(__file__).parents[2] / "NeuroGenLib"
FILES = sorted(LIBRARY.glob("*.py"))
WIDGETS = {"models_panel", "module_panel", "results_panel", "run_panel"}
DONE = Outcome("done", 0, "Done.")


def doctor(device, outcome=DONE, processors="8"):
    return Doctor(outcome, {}, {"device": device, "processors": processors} if device else {}, {}, {})


@pytest.mark.parametrize(
    ("answer", "reasons", "hasCard"),
    [
        (
            doctor("cuda (NVIDIA H200)"),
            ("graphics card: NVIDIA H200", "8 processor threads", "NVIDIA H200"),
            True,
        ),
        (
            doctor("cpu (torch 2.13.0+cpu sees no CUDA device)"),
            (
                "processor, because torch 2.13.0+cpu sees no CUDA device",
                "8 processor threads",
                "torch 2.13.0+cpu sees no CUDA device",
            ),
            False,
        ),
        (
            doctor("torch is absent"),
            ("processor, because torch is absent", "8 processor threads", "torch is absent"),
            False,
        ),
        (
            doctor("", Outcome("crashed", 1, "It crashed.")),
            ("It crashed.", "always possible", "It crashed."),
            False,
        ),
        (None, ("not asked yet", "always possible", "not asked yet"), True),
    ],
)
def test_every_device_has_its_reason(answer, reasons, hasCard):
    choices = deviceChoices(answer)
    assert [choice.value for choice in choices] == ["auto", "cpu", "cuda"]
    assert tuple(choice.reason for choice in choices) == reasons
    assert [choice.isAvailable for choice in choices] == [True, True, hasCard]


def test_a_device_whose_name_has_brackets_keeps_them():
    assert deviceChoices(doctor("cuda (Radeon (TM) 7900)"))[2].reason == "Radeon (TM) 7900"


@pytest.mark.slow
def test_the_doctor_answers_from_a_child_process():
    answers = []
    worker = devices.askDoctor(answers.append)
    worker.wait(180)
    (answer,) = answers
    assert answer.outcome.kind in ("done", "model")
    assert answer.versions["python"]
    assert deviceChoices(answer)[0].reason
    assert answer.computing["device"] in diagnostics.diagnosticsText(answer)


def test_the_rows_say_what_a_model_is_for_and_learned_from():
    rows = {row.id: row for row in models_logic.modelRows()}
    row = rows["adult-reflect"]
    assert row.isShipped
    assert row.task == "anomaly"
    assert "t1w" in row.purpose
    assert "scans" in row.trainedOn
    assert row.licence == "CC BY-SA 4.0"
    assert 0 < row.megabytes < 32
    assert not row.problem
    assert "adult-reflect" in [each.id for each in models_logic.modelsFor("anomaly")]
    assert models_logic.manifestOf("adult-reflect")["id"] == "adult-reflect"
    assert models_logic.verifyModel("neonatal-age") == ""


def test_damaged_models_are_listed_and_never_offered(tmp_path):
    store = ModelStore(user=tmp_path)
    damaged = tmp_path / "broken"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{", encoding="utf-8")
    row = next(row for row in models_logic.modelRows(store) if row.id == "broken")
    assert "is not JSON" in row.problem
    assert row.folder == damaged
    assert "is not JSON" in models_logic.verifyModel("broken", store)
    for task in ("anomaly", "brain-mask", "brain-age"):
        assert "broken" not in [each.id for each in models_logic.modelsFor(task, store)]
    with pytest.raises(ModelUnavailable):
        models_logic.modelCard("broken", store)


def test_shipped_models_stay(tmp_path):
    with pytest.raises(UsageError, match="shipped with NeuroGen"):
        models_logic.removeModel("brain-mask", ModelStore(user=tmp_path))


def test_before_packages_are_there_the_shipped_models_are(monkeypatch):
    monkeypatch.delenv("NEUROGEN_MODELS", raising=False)
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert "adult-reflect" in [row.id for row in models_logic.modelRows()]
    assert "adult-reflect" in diagnostics.diagnosticsText()
    with pytest.raises(ModuleNotFoundError):
        models_logic.userFolder()


def test_diagnostics_tell_what_a_bug_report_needs_and_not_who_wrote_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "jane.doe"))
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path / "jane.doe" / "models"))
    text = diagnostics.diagnosticsText(
        doctor("cpu (no card)"), log=("Traceback", f"  File {tmp_path}/jane.doe/scan.nii")
    )
    for words in ("NeuroGen 0", "python", "torch", "adult-reflect", "cpu (no card)", "GiB free", "Traceback"):
        assert words in text
    assert "jane.doe" not in text
    assert "~/scan.nii" in text


def imports(path, *, top):
    """What a file imports, at its top level or anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_heavy_is_imported_with_a_file(path):
    ours = {"neurogen", "NeuroGenLib"}
    bundled = {"numpy", "packaging", "slicer", "vtk"} | ({"qt"} if path.stem in WIDGETS else set())
    assert imports(path, top=True) <= ours | bundled | sys.stdlib_module_names


@pytest.mark.parametrize("path", [path for path in FILES if path.stem not in WIDGETS], ids=lambda path: path.stem)
def test_only_widgets_know_qt(path):
    late = {"qt"} if path.stem == "display" else set()  # the timer of a flash
    assert imports(path, top=False) & {"qt", "ctk", "PySide6", "PythonQt"} <= late


def test_watching_a_job_needs_neither_slicer_nor_numpy():
    """The batch script imports these in a plain Python, and the application must open at once."""
    program = "from NeuroGenLib import devices, job, models_logic, packages, worker\n"
    program += "import json, sys\n"
    program += "heavy = {'slicer', 'numpy', 'torch', 'scipy', 'SimpleITK', 'nibabel', 'qt', 'vtk'}\n"
    program += "print(json.dumps(sorted(heavy & set(sys.modules))))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
    assert run.stderr == ""
