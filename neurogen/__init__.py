"""NeuroGen: pseudo-healthy reconstruction and anomaly maps for brain MRI."""

__version__ = "0.1.0"
