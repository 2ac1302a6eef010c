"""Anomaly detection: `detect` a scan, look at the `Detection`."""

from neurogen.anomaly.detection import Detection, DetectionSettings, detect

__all__ = ["Detection", "DetectionSettings", "detect"]
