"""Configures and installs the extension by CMake with the stand-ins of `stub/`, and says what is wrong there."""

import ast
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

STUB = Path(__file__).parent / "stub"
MODULES_FOLDER = Path("lib/Slicer-5.12/qt-scripted-modules")


@dataclass(frozen=True)
class Listed:
    """One file that a target installs: `path` below the flat folder of all modules."""

    target: str
    kind: str  # "script" or "resource"
    source: Path
    path: str


@dataclass(frozen=True)
class Installation:
    """What a configured extension listed, and where it was installed."""

    listed: tuple[Listed, ...]
    metadata: dict[str, str]
    folder: Path  # with the modules, as in an installed extension

    @property
    def modules(self) -> list[str]:
        """Names of the scripted modules: Slicer tries every .py file that lies directly in the folder."""
        return sorted(path.stem for path in self.folder.glob("*.py"))


class CMakeFailed(Exception):
    """CMake refused; the text is what it said."""


def install(source: Path, work: Path) -> Installation:
    """Configure `source` and install it below `work`. Raises CMakeFailed with CMake's own words."""
    build, prefix = work / "build", work / "prefix"
    # A scripted extension compiles nothing; the checks of compilers would take seconds and need compilers.
    forced = [f"-DCMAKE_{kind}_COMPILER{rest}" for kind in ("C", "CXX") for rest in ("_FORCED=ON", "=/bin/true")]
    options = [f"-DSlicer_DIR={STUB}", "-DBUILD_TESTING=ON", *forced, "-Werror=dev"]
    _cmake("-S", source, "-B", build, *options)
    _cmake("--install", build, "--prefix", prefix)
    lines = (build / "listed.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("|") for line in lines]
    listed = tuple(Listed(target, kind, Path(file), path) for target, kind, file, path in parts)
    metadata = dict(
        line.split("=", 1) for line in (build / "metadata.txt").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    return Installation(listed, metadata, prefix / MODULES_FOLDER)


def listed_twice(installation: Installation) -> list[str]:
    """Paths that two entries install: one file would silently win."""
    return sorted(path for path, count in Counter(entry.path for entry in installation.listed).items() if count > 1)


def not_listed(installation: Installation, wanted: set[Path]) -> list[str]:
    """The wanted files that nobody installs."""
    return sorted(str(path) for path in wanted - {entry.source for entry in installation.listed})


def missing_imports(folder: Path) -> list[str]:
    """Imports of the extension's own packages, at the top of a file or late, that lead to no installed file."""
    own = {path.stem for path in folder.glob("*.py")}
    own |= {path.name for path in folder.iterdir() if (path / "__init__.py").is_file()}
    found = []
    for path in sorted(folder.rglob("*.py")):
        names = {name for name in _imported(path) if name.split(".")[0] in own or name.split(".")[0].endswith("Lib")}
        missing = {name for name in names if not _is_installed(folder, name) and not _is_defined(folder, name)}
        first = {name for name in missing if name.rpartition(".")[0] not in missing}
        found += [f"{path.relative_to(folder)} imports {name}" for name in sorted(first)]
    return found


def imported_at_start(path: Path) -> set[str]:
    """The top-level names that a file imports when it is loaded, not inside functions or `if TYPE_CHECKING`."""
    statements = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if not isinstance(node, ast.If)]
    return {name.split(".")[0] for node in statements if not _is_definition(node) for name in _names(node)}


def _is_definition(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef)


def _cmake(*words: object) -> None:
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]  # of this environment first
    program = shutil.which("cmake", path=os.pathsep.join(places))
    if program is None:
        raise CMakeFailed("There is no cmake on this machine; the test extra of pyproject.toml brings one.")
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise CMakeFailed(done.stdout + done.stderr)


def _imported(path: Path) -> set[str]:
    """Full names of all that a file imports; `from a import b` counts as a and as a.b."""
    return _names(ast.parse(path.read_text(encoding="utf-8")))


def _names(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _is_installed(folder: Path, name: str) -> bool:
    path = folder.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _is_defined(folder: Path, name: str) -> bool:
    """Whether the last part is not a module but something in the file of the part before."""
    *parents, last = name.split(".")
    path = folder.joinpath(*parents)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return bool(parents) and file.is_file() and last in _defined_in(file)


@lru_cache
def _defined_in(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # lazy
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return names | {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
