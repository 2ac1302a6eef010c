"""The translation of texts that a user sees: Slicer's own, or none where there is no application (PythonSlicer, tests).

Every file imports it as `from NeuroGenLib.i18n import tr as _`.
"""

try:
    from slicer.i18n import tr
except ImportError:

    def tr(text: str) -> str:
        """The text itself."""
        return text


__all__ = ["tr"]
