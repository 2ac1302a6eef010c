"""Python packages that NeuroGen needs and Slicer may lack: which are missing, and their installation after asking.

torch comes by the PyTorch extension, which finds the build for the graphics card; the rest by `slicer.packaging` (5.12
and later) or pip. A constraints file holds everything that is installed at its version, so that nothing of Slicer's own
or of another extension is replaced.
"""

import importlib
import importlib.util
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from NeuroGenLib.i18n import tr as _

TORCH = "torch>=2.4.1"
# The dependencies of pyproject.toml; a test holds the two together.
REQUIREMENTS = (
    "monai>=1.5.1,<1.7",
    "einops>=0.8",
    "numpy>=2.0",
    "scipy>=1.13",
    "scikit-learn>=1.5",
    "SimpleITK>=2.4",
    "nibabel>=5.3",
    "nilearn>=0.12",
    "safetensors>=0.5",
    "matplotlib>=3.9",
    "pillow>=10",
    "platformdirs>=4.2",
    "tqdm>=4.66",
)
BUNDLED = ("numpy", "scipy", "SimpleITK", "pillow")  # Slicer's own; they are never replaced
_MODULES = {"scikit-learn": "sklearn", "pillow": "PIL"}


class PackagesMissing(RuntimeError):
    """NeuroGen cannot compute: packages are missing and were not installed."""


def missingPackages() -> list[str]:
    """The requirements that are not fulfilled, torch first; nothing is imported to find out."""
    return [requirement for requirement in (TORCH, *REQUIREMENTS) if not isSatisfied(requirement)]


def isSatisfied(requirement: str) -> bool:
    """Whether a package is there in a version that will do."""
    wanted = Requirement(requirement)
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:  # built into Slicer without metadata, or absent
        return importlib.util.find_spec(_MODULES.get(wanted.name, wanted.name)) is not None
    return wanted.specifier.contains(version, prereleases=True)


def ensurePackages(requester: str) -> None:
    """Install what is missing, after asking the user; call it when a job is about to start, in the main thread.

    Raises PackagesMissing when the user declines, when the PyTorch extension is absent or when packages are still
    missing afterwards; CalledProcessError when pip fails (it has shown its log).
    """
    missing = missingPackages()
    if not missing:
        return
    _refuseOldBundled(missing)
    if TORCH in missing:
        _installTorch()
    others = [requirement for requirement in missing if requirement != TORCH]
    if others:
        _installOthers(others, requester)
    importlib.invalidate_caches()
    left = missingPackages()
    if left:
        text = _("These packages are still missing: {packages}. Restart Slicer and try again.")
        raise PackagesMissing(text.format(packages=", ".join(left)))


def constraints() -> str:
    """Everything that is installed, each at its version, as lines of a constraints file."""
    found = {each.metadata["Name"]: each.version for each in metadata.distributions() if each.metadata["Name"]}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if version)


def _refuseOldBundled(missing: list[str]) -> None:
    old = [each for each in missing if Requirement(each).name in BUNDLED]
    if old:
        text = _("This Slicer is too old: it brings older versions than {packages}. Install Slicer 5.10 or newer.")
        raise PackagesMissing(text.format(packages=", ".join(old)))


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError as error:
        text = _("NeuroGen needs the PyTorch extension. Install it in the Extensions Manager and restart Slicer.")
        raise PackagesMissing(text) from error
    specifier = str(Requirement(TORCH).specifier)
    installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=specifier)
    if installed is None:
        raise PackagesMissing(_("NeuroGen cannot compute without PyTorch, whose installation was declined."))


def _installOthers(requirements: list[str], requester: str) -> None:
    with tempfile.TemporaryDirectory(prefix="neurogen-") as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text(constraints(), encoding="utf-8")
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            _installByPip(requirements, path)
            return
        try:
            pip_ensure([Requirement(each) for each in requirements], constraints=path, requester=requester)
        except RuntimeError as error:
            raise PackagesMissing(_declined(requirements)) from error


def _installByPip(requirements: list[str], constraintsPath: Path) -> None:
    import slicer

    text = _("NeuroGen needs to install these Python packages into Slicer:\n\n{packages}\n\nInstall them now?")
    if not slicer.util.confirmOkCancelDisplay(text.format(packages="\n".join(requirements))):
        raise PackagesMissing(_declined(requirements))
    slicer.util.pip_install([*requirements, "--constraint", str(constraintsPath)])


def _declined(requirements: list[str]) -> str:
    text = _("NeuroGen cannot compute without these packages, which were not installed: {packages}.")
    return text.format(packages=", ".join(requirements))
