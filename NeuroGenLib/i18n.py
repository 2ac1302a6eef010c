"""The translation of texts that a user sees: Slicer's own, or none where there is no application (batch, child, tests).

Every file imports it as `from NeuroGenLib.i18n import tr as _`. Slicer is not imported for it: that takes seconds.
"""

import sys


def _untranslated(text: str) -> str:
    """The text itself."""
    return text


tr = _untranslated
if "slicer" in sys.modules:
    try:
        from slicer.i18n import tr
    except ImportError:  # slicer-core without the application
        tr = _untranslated
