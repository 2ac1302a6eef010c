"""Imports point one way, the core knows no Slicer, and the command line starts without heavy libraries."""

import ast
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "neurogen"
FILES = sorted(CORE.rglob("*.py"))

# From the top down; a file may import from its own layer and from those below. What is not named is the ground:
# volumes, models, progress, errors and what they are made of.
LAYERS = (
    ("__main__", "cli", "commands", "batch", "detection_files", "report", "report_pictures"),
    # A recipe and its parts put a method and the loop together and ship the references' statistics: above all three.
    (
        "training.recipe_",
        "training.planted_validation",
        "training.export_",
        "training.choose_standard",
        "training.healthy_context",
        "training.level_slices",
        "training.healthy_volumes",
        "training.fit_",
        "training.slice_task",
        "training.masked_task",
    ),
    ("evaluation",),
    ("anomaly", "harmonize", "brain_age"),
    ("preprocess", "networks", "training", "synth"),
)
# What the command line and Slicer's start need, and what must not be loaded by it.
STARTING = ("cli", "models", "report", "volumes", "errors", "progress", "outputs", "environment")
HEAVY = ("torch", "monai", "SimpleITK", "matplotlib", "sklearn")


def module_name(path: Path) -> str:
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer(module: str) -> int:
    """Rank from the top; the first layer whose entry is the module, its package, or the start of its name."""
    for rank, entries in enumerate(LAYERS):
        for entry in entries:
            if module == entry or module.startswith(entry if entry.endswith("_") else entry + "."):
                return rank
    return len(LAYERS)


@lru_cache
def imports(path: Path) -> set[str]:
    """Full names of everything a file imports, at its top or late; `from a import b` counts as a and as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively; write neurogen.… in full"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(path: Path) -> set[str]:
    return {name.removeprefix("neurogen.") for name in imports(path) if name.startswith("neurogen.")}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_core_knows_no_slicer(path):
    assert not {"slicer", "qt", "ctk", "vtk"} & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down(path):
    upward = {name for name in own_imports(path) if layer(name) < layer(module_name(path))}
    assert not upward, f"{module_name(path)} imports from a layer above it: {sorted(upward)}"


def test_every_package_has_its_layer():
    """A new or renamed package must not fall out of the rules unseen."""
    packages = {path.parent for path in FILES} - {CORE}
    assert {path.name for path in packages} <= {entry for entries in LAYERS for entry in entries}
    assert all((path / "__init__.py").is_file() for path in packages)


@pytest.mark.parametrize("path", sorted((CORE / "anomaly").glob("*.py")), ids=module_name)
def test_methods_never_see_the_planted_lesions(path):
    """Detectors are judged by planted lesions, so nothing that a method draws may come from there."""
    assert not {name for name in own_imports(path) if name.startswith(("synth", "evaluation"))}


def test_recipes_plant_no_lesions():
    """Only validation plants; a recipe that did would train on the kind of lesion it is judged by."""
    planting = {"synth.lesions", "synth.evaluation_set"}
    guilty = {module_name(p) for p in (CORE / "training").glob("*.py") if planting & own_imports(p)}
    assert guilty <= {"training.planted_validation"}


def test_starting_loads_no_heavy_library():
    lines = [f"import neurogen.{name}" for name in STARTING]
    lines += ["import sys", f"print(*[name for name in {HEAVY} if name in sys.modules])"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=CORE.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
