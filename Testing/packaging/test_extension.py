"""The extension as Slicer installs it: every file is there, once, and what is imported comes from that place alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cmake_lists
import pytest
from installation import CMakeFailed, imported_at_start, install, listed_twice, missing_imports, not_listed

REPOSITORY = Path(__file__).resolve().parents[2]
# What Slicer 5.10 brings; nothing else may be needed to open a module.
BUNDLED = {"slicer", "qt", "ctk", "vtk", "numpy", "scipy", "SimpleITK", "pydicom", "requests", "packaging"}
SCHEMA_KEYS = {"$schema", "category", "scm_url", "scm_revision", "build_dependencies", "build_subdirectory", "tier"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install(REPOSITORY, tmp_path_factory.mktemp("extension"))


def shipped(pattern: str) -> set[Path]:
    """The repository's files that Slicer has to find, by the layout alone and not by any list."""
    known = {REPOSITORY / name for name in cmake_lists.known_files(REPOSITORY)}
    tops = {"neurogen", "NeuroGenLib", "Resources", *cmake_lists.module_names(cmake_lists.known_files(REPOSITORY))}
    return {
        path
        for path in known & set(REPOSITORY.rglob(pattern))
        if path.relative_to(REPOSITORY).parts[0] in tops and path.relative_to(REPOSITORY).parts[1] != "Testing"
    }


def run_there(folder: Path, code: str, *words: str) -> str:
    """What a Python that sees the installed folder first prints, far away from the repository."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-W", "error::SyntaxWarning", "-c", code, *words]
    done = subprocess.run(
        command, cwd=folder.parent, env={**environment, "PYTHONPATH": str(folder)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_python_file_is_installed(installed):
    assert not not_listed(installed, shipped("*.py"))


def test_every_resource_is_installed(installed):
    wanted = {path for path in shipped("*") if "Resources" in path.parts and path.name != "CMakeLists.txt"}
    assert len(wanted) > 15 and not not_listed(installed, wanted)


def test_nothing_is_listed_twice_and_no_two_targets_share_a_path(installed):
    assert not listed_twice(installed)


def test_tests_stay_at_home(installed):
    assert not [entry.path for entry in installed.listed if "Testing" in Path(entry.path).parts]


def test_only_modules_lie_where_slicer_looks_for_modules(installed):
    """Any other .py file there would be tried as a module and reported as broken."""
    assert installed.modules == cmake_lists.module_names(cmake_lists.known_files(REPOSITORY))


def test_every_module_has_its_panel_and_icon(installed):
    for module in installed.modules:
        assert (installed.folder / f"Resources/UI/{module}.ui").is_file()
        assert (installed.folder / f"Resources/Icons/{module}.png").is_file()


def test_every_import_leads_to_an_installed_file(installed):
    assert not missing_imports(installed.folder)


def test_opening_a_module_needs_nothing_that_slicer_does_not_bring(installed):
    own = {path.name for path in installed.folder.iterdir()} | set(installed.modules)
    files = [file for module in installed.modules for file in installed.folder.glob(f"{module}*/**/*.py")]
    for path in [*files, *(installed.folder / "NeuroGenLib").rglob("*.py"), *installed.folder.glob("*.py")]:
        foreign = imported_at_start(path) - BUNDLED - own - set(sys.stdlib_module_names)
        assert not foreign, path.name


def test_the_core_is_imported_from_there_alone(installed):
    names = [
        ".".join(path.relative_to(installed.folder).with_suffix("").parts).removesuffix(".__init__")
        for path in (installed.folder / "neurogen").rglob("*.py")
        if path.name != "__main__.py"
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    places = run_there(installed.folder, code, *sorted(names)).splitlines()
    assert len(places) == len(names) > 100
    assert all(Path(place).is_relative_to(installed.folder) for place in places)


def test_the_models_and_the_atlas_are_found_there(installed):
    code = "from neurogen.models import ModelStore as S; from neurogen.resources import resource_path as p\n"
    code += "[S().get(name).verify() for name in S().ids()]; print(S().shipped, p('Atlas', 'regions.tsv'), *S().ids())"
    models, atlas, *ids = run_there(installed.folder, code).split()
    assert Path(models) == installed.folder / "Resources" / "Models"
    assert Path(atlas).is_relative_to(installed.folder) and Path(atlas).is_file()
    assert {"adult-reflect", "brain-mask"} <= set(ids)


def test_the_command_line_runs_there(installed):
    code = "from neurogen.cli import main; raise SystemExit(main(['models', 'verify']))"
    assert "adult-reflect: ok" in run_there(installed.folder, code)


OPEN_MODULES = """
import sys
from pathlib import Path

folder, repository, *absent = sys.argv[1:]

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.path.append(repository)
from Testing import host
host.install()
from Testing.host import failures, scripted
sys.excepthook = sys.__excepthook__  # the host collects what is raised; here it ends the process
sys.meta_path.insert(0, Absent())
for file in sorted(Path(folder).glob("*.py")):
    scripted.load_module(file)
    scripted.enter(file.stem)
    scripted.leave(file.stem)
assert not failures.take()
own = {name: module for name, module in sys.modules.items() if name.startswith(("neurogen", "NeuroGen", "Neonatal"))}
print(*(module.__file__ for module in own.values() if getattr(module, "__file__", None)), sep="\\n")
"""


def test_modules_open_from_there_without_the_packages_that_slicer_lacks(installed):
    from Testing import host

    if host.missing():
        pytest.skip(host.missing())
    absent = ["torch", "monai", "einops", "sklearn", "nibabel", "nilearn", "safetensors", "platformdirs", "tqdm"]
    places = run_there(installed.folder, OPEN_MODULES, str(installed.folder), str(REPOSITORY), *absent).splitlines()
    assert len(places) > 20
    assert all(Path(place).is_relative_to(installed.folder) for place in places), places


def test_the_lists_are_up_to_date():
    stale = [str(path) for path, text in cmake_lists.texts(REPOSITORY).items() if path.read_text() != text]
    assert not stale, "run `make cmake-lists`"


def test_the_catalog_entry_agrees_with_cmake(installed):
    entry = json.loads((REPOSITORY / "NeuroGen.json").read_text(encoding="utf-8"))
    metadata = installed.metadata
    assert set(entry) == SCHEMA_KEYS and entry["category"] == "Neuroimaging"
    assert metadata["project"] == "NeuroGen" == Path("NeuroGen.json").stem
    assert entry["build_dependencies"] == metadata["EXTENSION_DEPENDS"].split()
    assert entry["scm_url"] == metadata["EXTENSION_HOMEPAGE"] + ".git"
    assert entry["scm_url"].split("/")[-1].startswith("Slicer")
    assert 1 <= metadata["EXTENSION_DESCRIPTION"].count(". ") + 1 <= 2


@pytest.mark.parametrize("name", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_the_catalog_pictures_exist(installed, name):
    for url in installed.metadata[name].split():
        owner_and_repository = installed.metadata["EXTENSION_HOMEPAGE"].removeprefix("https://github.com/")
        start = f"https://raw.githubusercontent.com/{owner_and_repository}/main/"
        assert url.startswith(start) and (REPOSITORY / url.removeprefix(start)).is_file()


# The checks themselves, on a small extension that is broken on purpose.

TOP = """cmake_minimum_required(VERSION 3.16.3...3.28.0 FATAL_ERROR)
project(Example)
set(EXTENSION_HOMEPAGE "h")\nset(EXTENSION_CONTRIBUTORS "c")\nset(EXTENSION_DESCRIPTION "d")
set(EXTENSION_ICONURL "i")\nset(EXTENSION_SCREENSHOTURLS "s")\nset(EXTENSION_DEPENDS "NA")
find_package(Slicer REQUIRED)\ninclude(${Slicer_USE_FILE})
add_subdirectory(One)\nadd_subdirectory(Two)
include(${Slicer_EXTENSION_GENERATE_CONFIG})\ninclude(${Slicer_EXTENSION_CPACK})
"""
MODULE = "slicerMacroBuildScriptedModule(NAME {0} SCRIPTS {1} RESOURCES {2} WITH_GENERIC_TESTS)\n"


@pytest.fixture
def example(tmp_path) -> Path:
    """Two modules; One has a package of its own."""
    source = tmp_path / "source"
    files = {
        "README.md": "",
        "LICENSE": "",
        "CMakeLists.txt": TOP,
        "One/One.py": "import OneLib.tools",
        "One/OneLib/__init__.py": "",
        "One/OneLib/tools.py": "def f():\n    import Two",
        "One/Resources/UI/One.ui": "",
        "Two/Two.py": "",
        "Two/Resources/UI/Two.ui": "",
    }
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    write_lists(source)
    return source


def write_lists(source: Path, one: str = "One.py OneLib/__init__.py OneLib/tools.py", more: str = "") -> None:
    (source / "One/CMakeLists.txt").write_text(MODULE.format("One", one, "Resources/UI/One.ui"))
    (source / "Two/CMakeLists.txt").write_text(MODULE.format("Two", f"Two.py {more}", "Resources/UI/Two.ui"))


def test_a_whole_extension_passes(example, tmp_path):
    found = install(example, tmp_path)
    assert not listed_twice(found) and not missing_imports(found.folder)
    assert not not_listed(found, set(example.rglob("*.py")))
    assert found.modules == ["One", "Two"]


def test_a_forgotten_file_is_seen(example, tmp_path):
    write_lists(example, one="One.py OneLib/__init__.py")
    found = install(example, tmp_path)
    assert not_listed(found, set(example.rglob("*.py"))) == [str(example / "One/OneLib/tools.py")]
    assert missing_imports(found.folder) == ["One.py imports OneLib.tools"]


def test_a_forgotten_package_is_seen(example, tmp_path):
    write_lists(example, one="One.py")
    assert missing_imports(install(example, tmp_path).folder) == ["One.py imports OneLib.tools"]


def test_a_late_import_is_seen(example, tmp_path):
    (example / "Two/Two.py").write_text("def f():\n    from OneLib.absent import g")
    assert missing_imports(install(example, tmp_path).folder) == ["Two.py imports OneLib.absent"]


def test_a_file_listed_twice_is_seen(example, tmp_path):
    write_lists(example, one="One.py OneLib/__init__.py OneLib/tools.py One.py")
    assert listed_twice(install(example, tmp_path)) == ["One.py"]


def test_two_modules_with_one_path_are_seen(example, tmp_path):
    (example / "Two/OneLib").mkdir()
    (example / "Two/OneLib/tools.py").write_text("")
    write_lists(example, more="OneLib/tools.py")
    assert listed_twice(install(example, tmp_path)) == ["OneLib/tools.py"]


def test_a_listed_file_that_is_absent_stops_the_configuration(example, tmp_path):
    write_lists(example, more="absent.py")
    with pytest.raises(CMakeFailed, match=r"absent\.py"):
        install(example, tmp_path)


def test_a_path_that_leaves_its_folder_stops_the_configuration(example, tmp_path):
    write_lists(example, more="../One/One.py")
    with pytest.raises(CMakeFailed, match="keeps its place"):
        install(example, tmp_path)


def test_an_unknown_keyword_stops_the_configuration(example, tmp_path):
    (example / "Two/CMakeLists.txt").write_text("slicerMacroBuildScriptedModule(NAMES Two SCRIPTS Two.py)")
    with pytest.raises(CMakeFailed, match="does not know"):
        install(example, tmp_path)


def test_an_extension_without_license_is_not_packaged(example, tmp_path):
    (example / "LICENSE").unlink()
    with pytest.raises(CMakeFailed, match="LICENSE"):
        install(example, tmp_path)
