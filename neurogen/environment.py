"""What this machine brings: versions of the libraries, the device, the number of threads."""

import os
import platform
from importlib import metadata

import neurogen
from neurogen.errors import UsageError

LIBRARIES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "nibabel", "nilearn", "safetensors", "scikit-learn")
DEVICES = ("auto", "cpu", "cuda")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def versions() -> dict[str, str]:
    """NeuroGen, Python, the system and each library, without importing them; "absent" where one is not installed."""
    found = {"neurogen": neurogen.__version__, "python": platform.python_version(), "system": platform.platform()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "absent"
    return found


def use_threads(threads: int | None) -> None:
    """Limit the processor threads of all libraries; call it before they are imported.

    Waiting OpenMP threads sleep instead of spinning, unless the user chose otherwise: on a loaded machine spinning
    takes the cores from those that work.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        for variable in _THREAD_VARIABLES:
            os.environ[variable] = str(threads)


def choose_device(name: str) -> str:
    """ "cpu" or "cuda" for a `--device` value. Raises UsageError when CUDA is asked for and cannot compute."""
    if name not in DEVICES:
        raise UsageError(f"Device {name!r} is unknown. Choose one of {', '.join(DEVICES)}.")
    if name == "cpu":
        return "cpu"
    reason = cuda_problem()
    if reason and name == "cuda":
        raise UsageError(f"CUDA cannot be used here: {reason}. Choose --device cpu.")
    return "cpu" if reason else "cuda"


def cuda_problem() -> str:
    """Why CUDA cannot compute here, by running a tiny kernel; empty when it can."""
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no CUDA device"
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        return f"{torch.cuda.get_device_name()} does not compute ({str(error).splitlines()[0]})"
    return ""
