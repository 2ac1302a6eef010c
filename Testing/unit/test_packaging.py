"""What is shipped: every package and resource is in the wheel, every dependency is pinned, imports point one way."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
import typing
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from neurogen import resources
from neurogen.commands.benchmark import BENCHMARKS
from neurogen.commands.train import RECIPES
from neurogen.training.loop import LoopSettings

REPOSITORY = Path(__file__).parents[2]
CORE = REPOSITORY / "neurogen"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
# A part may import those on its right; `synth`, `evaluation` and the files at the top serve several.
LOWEST = (
    "errors",
    "affines",
    "progress",
    "resources",
    "manifest",
    "model_card",
    "archive",
    "readers",
    "dicom",
    "volumes",
    "models",
)
FRONT = ("cli", "console", "commands", "batch", "report", "report_pictures", "detection_files", "outputs")


def imports_of(path: Path) -> set[str]:
    """Every module that a file names in an import, also inside functions."""
    found = re.findall(r"^\s*(?:from ([\w.]+) import|import ([\w.]+))", path.read_text(encoding="utf-8"), re.M)
    return {one or other for one, other in found}


def parts_of(path: Path) -> set[str]:
    """The parts of the core that a file imports: `neurogen.anomaly.reflect` -> `anomaly`."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("neurogen.")}


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_knows_no_slicer(path):
    assert not {"slicer", "qt", "ctk", "vtk"} & {name.split(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("folder", ["anomaly", "preprocess", "networks", "training", "synth", "evaluation"])
def test_science_does_not_import_the_front(folder):
    for path in sorted((CORE / folder).rglob("*.py")):
        assert not parts_of(path) & set(FRONT), path.name


@pytest.mark.parametrize("folder", ["preprocess", "networks"])
def test_the_middle_does_not_import_what_stands_on_it(folder):
    for path in sorted((CORE / folder).rglob("*.py")):
        assert not parts_of(path) & {"anomaly", "training", "evaluation"}, path.name


def test_the_lowest_files_import_only_each_other():
    for name in LOWEST:
        assert parts_of(CORE / f"{name}.py") <= set(LOWEST), name


def test_training_draws_no_planted_lesion():
    """The evaluation's lesions are not of the kinds that the networks learn to remove."""
    for path in (CORE / "anomaly").glob("*.py"):
        assert not {name for name in imports_of(path) if name.startswith("neurogen.synth")}, path.name


def test_every_package_is_listed():
    present = {".".join(path.parent.relative_to(REPOSITORY).parts) for path in CORE.rglob("*.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == present | {"neurogen.shipped"}


def test_every_import_is_a_dependency():
    names = {"sklearn": "scikit-learn", "PIL": "pillow"}
    needed = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["training"]
    listed = {re.split(r"[<>=]", line)[0] for line in needed}
    used = {name.split(".")[0] for path in CORE.rglob("*.py") for name in imports_of(path)}
    foreign = {names.get(name, name) for name in used - set(sys.stdlib_module_names) - {"neurogen"}}
    assert foreign <= listed


def test_constraints_pin_every_dependency_for_every_machine():
    text = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9.]*", line) for line in lines)
    pinned = {line.split("==")[0].lower() for line in lines}
    optional = PROJECT["project"]["optional-dependencies"]
    extras = optional["test"] + optional["training"]
    wanted = {re.split(r"[<>=]", line)[0].lower() for line in PROJECT["project"]["dependencies"] + extras}
    assert wanted <= pinned
    assert "torch==2.13.0" in lines


def test_the_readme_and_the_integration_run_the_makefile():
    readme, makefile = (
        (REPOSITORY / "README.md").read_text(encoding="utf-8"),
        (REPOSITORY / "Makefile").read_text(encoding="utf-8"),
    )
    for target in ("demo", "test"):
        assert f"make {target}" in readme and re.search(rf"^{target}: setup$", makefile, re.M)
    assert "make test" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_takes_what_the_command_gives(name):
    parameters = inspect.signature(importlib.import_module(BENCHMARKS[name][0]).run).parameters
    assert {"methods", "json_path", "seed", "device", "progress"} <= set(parameters)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_what_the_command_gives(name):
    run = importlib.import_module(RECIPES[name]).run
    assert {"settings", "resume", "progress"} <= set(inspect.signature(run).parameters)
    hint = typing.get_type_hints(run)["settings"]
    settings = next(kind for kind in (*typing.get_args(hint), hint) if kind is not type(None))()
    assert isinstance(settings.loop, LoopSettings) and "loop" in {field.name for field in fields(settings)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The unpacked wheel, made from a copy of the tree with one more model in it."""
    pytest.importorskip("setuptools", minversion="77")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(CORE, source / "neurogen", ignore=shutil.ignore_patterns("__pycache__"))
    if (REPOSITORY / "Resources").is_dir():
        shutil.copytree(REPOSITORY / "Resources", source / "Resources")
    (source / "Resources" / "Models" / "one-more").mkdir(parents=True)
    (source / "Resources" / "Models" / "one-more" / "manifest.json").write_text("{}")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", target, source]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(target.glob("*.whl"))) as archive:
        archive.extractall(target / "unpacked")
    return target / "unpacked"


def test_the_wheel_holds_all_code_models_and_the_atlas(wheel):
    for path in CORE.rglob("*.py"):
        assert (wheel / path.relative_to(REPOSITORY)).is_file()
    assert (wheel / "neurogen" / "shipped" / "Models" / "one-more" / "manifest.json").is_file()
    for kind in ("Models", "Atlas"):
        for path in (REPOSITORY / "Resources" / kind).rglob("*.*"):
            assert (wheel / "neurogen" / "shipped" / path.relative_to(REPOSITORY / "Resources")).is_file()
    assert not list(wheel.glob("Testing*"))


def test_the_wheel_finds_its_models(wheel):
    code = "import neurogen.models as m, neurogen; print(neurogen.__file__); print(m.ModelStore().ids())"
    result = subprocess.run([sys.executable, "-c", code], cwd=wheel, capture_output=True, text=True, check=True)
    place, ids = result.stdout.splitlines()
    assert Path(place).parent == wheel / "neurogen" and "one-more" in ids


def test_the_source_tree_finds_its_models():
    assert resources.resource_path("Models") == REPOSITORY / "Resources" / "Models"
