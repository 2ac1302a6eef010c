"""Anomaly detection: `detect` a scan, look at the `Detection`.

Both are imported when first asked for: Slicer cuts lesions (`lesions.py`) where no image library is installed.
"""

from neurogen.anomaly.settings import DetectionSettings

__all__ = ["Detection", "DetectionSettings", "detect"]


def __getattr__(name: str):
    if name not in ("Detection", "detect"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from neurogen.anomaly import detection

    return getattr(detection, name)
