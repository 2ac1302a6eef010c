"""Where the files that travel with the code lie: `Resources/` beside the package, `shipped/` inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_path(*parts: str) -> Path:
    """The path of a shipped file or folder, for example `resource_path("Atlas", "regions.nii.gz")`; it may not exist.

    In the source tree and in Slicer, `Resources/` lies beside the package; in an installed wheel the same folder is
    `neurogen/shipped/`.
    """
    installed = _PACKAGE / "shipped"
    root = installed if installed.is_dir() else _PACKAGE.parent / "Resources"
    return root.joinpath(*parts)
