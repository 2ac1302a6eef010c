"""The export part of the panel: where to, which kinds, and what was written."""

from collections.abc import Callable
from pathlib import Path

from NeuroGenADLib.dicom_seg import problem
from NeuroGenADLib.exports import exportResult
from NeuroGenADLib.result import Result
from NeuroGenLib.i18n import tr as _


class ExportPanel:
    """Writes the shown result; DICOM SEG is offered only where it can be made, with the reason where it cannot."""

    def __init__(self, ui, result: Callable[[], Result | None]) -> None:
        """`result()` is the shown result, or None."""
        self.ui = ui
        self._result = result
        self._kinds = {
            "nifti": ui.exportNiftiCheckBox,
            "csv": ui.exportCsvCheckBox,
            "html": ui.exportHtmlCheckBox,
            "dicom": ui.exportDicomCheckBox,
        }
        ui.exportButton.connect("clicked(bool)", self.onExport)
        self.update()

    def update(self) -> None:
        """Offer what the shown result allows."""
        result = self._result()
        reason = problem(result) if result is not None else _("There is no result.")
        box = self.ui.exportDicomCheckBox
        box.enabled = not reason
        box.checked = box.checked and not reason
        box.toolTip = reason or _("A DICOM segmentation that refers to the series of the scan")
        self.ui.exportMessageLabel.text = ""

    def onExport(self, checked: bool = False) -> None:
        """Write, and say what or why not."""
        result = self._result()
        if result is None:
            return
        kinds = [kind for kind, box in self._kinds.items() if box.checked]
        if not kinds:
            self.ui.exportMessageLabel.text = _("Choose at least one kind of file.")
            return
        try:
            paths = exportResult(result, Path(self.ui.exportFolderButton.directory), kinds)
        except (ValueError, RuntimeError, OSError) as error:
            self.ui.exportMessageLabel.text = _("Not exported: {reason}").format(reason=error)
            return
        names = ", ".join(path.name for path in paths)
        self.ui.exportMessageLabel.text = _("Written: {names}").format(names=names)
