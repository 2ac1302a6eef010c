"""Writes the CMakeLists.txt of every folder that the extension installs, so that no file is forgotten.

`make cmake-lists` after `git add`: only files that git knows are listed. Slicer packages what is listed, nothing else.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = {"neurogen": "NeuroGenCore", "Resources": "NeuroGenResources", "NeuroGenLib": "NeuroGenLib"}
MODULES_MARK = "## NEXT_MODULE"
HEAD = "# The lists are written by `make cmake-lists`; Slicer installs what they name and nothing else.\n"
SHARED_TEMPLATE = """
set(NEUROGEN_SCRIPTS
{scripts}  )

set(NEUROGEN_RESOURCES
{resources}  )

ctkMacroCompilePythonScript(
  TARGET_NAME {target}
  SCRIPTS "${{NEUROGEN_SCRIPTS}}"
  RESOURCES "${{NEUROGEN_RESOURCES}}"
  SOURCE_DIR ${{NeuroGen_SOURCE_DIR}}
  DESTINATION_DIR ${{CMAKE_BINARY_DIR}}/${{Slicer_QTSCRIPTEDMODULES_LIB_DIR}}
  INSTALL_DIR ${{Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}}
  NO_INSTALL_SUBDIR
  )
"""
MODULE_TEMPLATE = """
set(MODULE_NAME {target})

set(MODULE_PYTHON_SCRIPTS
{scripts}  )

set(MODULE_PYTHON_RESOURCES
{resources}  )

slicerMacroBuildScriptedModule(
  NAME ${{MODULE_NAME}}
  SCRIPTS ${{MODULE_PYTHON_SCRIPTS}}
  RESOURCES ${{MODULE_PYTHON_RESOURCES}}
  WITH_GENERIC_TESTS
  )

if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT ${{MODULE_NAME}}.py)
endif()
"""


@dataclass(frozen=True)
class Folder:
    """What one folder installs; paths are relative to `base`, and installed under the same path."""

    name: str
    target: str
    base: str
    scripts: tuple[str, ...]
    resources: tuple[str, ...]


def folders(root: Path) -> list[Folder]:
    """The shared folders and the modules: a module is a folder X with a file X.py."""
    files = known_files(root)
    shared = [_folder(files, name, target, "") for name, target in SHARED.items()]
    return shared + [_folder(files, name, name, f"{name}/") for name in module_names(files)]


def known_files(root: Path) -> list[str]:
    """The files of the repository; without git, all that lie in the tree."""
    found = [name for name in _known_to_git(root) if (root / name).is_file()]
    found = found or [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in found if "__pycache__" not in name and not name.startswith("."))


def _known_to_git(root: Path) -> list[str]:
    try:
        done = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.splitlines()


def module_names(files: list[str]) -> list[str]:
    names = {name.split("/")[0] for name in files if "/" in name}
    return sorted(name for name in names if f"{name}/{name}.py" in files)


def cmake_text(folder: Folder) -> str:
    """The content of a folder's CMakeLists.txt."""
    template = SHARED_TEMPLATE if folder.base == "" else MODULE_TEMPLATE
    lines = {kind: "".join(f"  {name}\n" for name in getattr(folder, kind)) for kind in ("scripts", "resources")}
    return HEAD + template.format(target=folder.target, **lines)


def top_text(text: str, modules: list[str]) -> str:
    """The top CMakeLists.txt with every module that it does not build yet."""
    wanted = [f"add_subdirectory({name})\n" for name in modules]
    return text.replace(MODULES_MARK, "".join(line for line in wanted if line not in text) + MODULES_MARK)


def texts(root: Path) -> dict[Path, str]:
    """Every file that `make cmake-lists` keeps, with its content."""
    top = root / "CMakeLists.txt"
    found = {root / folder.name / "CMakeLists.txt": cmake_text(folder) for folder in folders(root)}
    return {top: top_text(top.read_text(encoding="utf-8"), module_names(known_files(root))), **found}


def _folder(files: list[str], name: str, target: str, base: str) -> Folder:
    inside = [file for file in files if file.startswith(f"{name}/") and not file.startswith(f"{name}/Testing/")]
    paths = [file.removeprefix(base) for file in inside if Path(file).name != "CMakeLists.txt"]
    scripts = tuple(path for path in paths if path.endswith(".py"))
    return Folder(name, target, base, scripts, tuple(path for path in paths if path not in scripts))


def main() -> None:
    for path, text in texts(REPOSITORY).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"written: {path.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
