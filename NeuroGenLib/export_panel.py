"""The export part of a module's panel: where to, which kinds, and what was written or why not."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import slicer

from NeuroGenLib.i18n import tr as _


class ExportPanel:
    """Writes the shown result; works on `exportButton`, `exportFolderButton` and `exportMessageLabel` of the form."""

    def __init__(
        self,
        ui,
        result: Callable[[], Any],
        boxes: Mapping[str, Any],
        export: Callable[[Any, Path, Collection[str]], list[Path]],
    ) -> None:
        """`result()` is the shown result, or None; `boxes` hold a check box for each kind of file;
        `export(result, folder, kinds)` writes and returns the files."""
        self.ui = ui
        self._result, self._boxes, self._export = result, boxes, export
        ui.exportButton.connect("clicked(bool)", self.onExport)
        self.update()

    def update(self) -> None:
        """Another result is shown: what was said of the last one is past."""
        self._say("")

    def onExport(self, checked: bool = False) -> None:
        """Write, and say what or why not."""
        result = self._result()
        if result is None:
            return
        kinds = [kind for kind, box in self._boxes.items() if box.checked]
        if not kinds and not self._isMoreWanted():
            self._say(_("Choose at least one kind of file."))
            return
        folder = Path(self.ui.exportFolderButton.directory)
        try:
            with slicer.util.WaitCursor():
                paths = self._export(result, folder, kinds)
            self._sayWritten(paths)
            if self._isMoreWanted():
                self._startMore(result, folder, paths)
        except (ValueError, RuntimeError, OSError) as error:
            self._sayFailed(error)

    def _isMoreWanted(self) -> bool:
        """Whether a kind of file is chosen that is written by a job."""
        return False

    def _startMore(self, result: Any, folder: Path, written: list[Path]) -> None:
        """Start that job; `written` are the files that are there already."""

    def _sayWritten(self, paths: Collection[Path]) -> None:
        self._say(_("Written: {names}").format(names=", ".join(path.name for path in paths)))

    def _sayFailed(self, reason: object) -> None:
        self._say(_("Not exported: {reason}").format(reason=reason))

    def _say(self, text: str) -> None:
        self.ui.exportMessageLabel.text = text
        self.ui.exportMessageLabel.visible = bool(text)
