"""What made a result: `detect.json`, which the command line writes and the scene keeps."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from NeuroGenADLib.choices import meanTitle
from NeuroGenADLib.recut import CutSettings
from NeuroGenLib.i18n import tr as _


@dataclass(frozen=True, eq=False)
class DetectionRecord:
    """The parts of `detect.json` that the panel shows or computes with.

    affine : (4, 4) voxel -> RAS mm of the scan as it was exported
    templateFromScan : (4, 4) RAS mm of the scan -> RAS mm of the template, None where it is not recorded
    """

    content: dict[str, Any]
    affine: np.ndarray
    templateFromScan: np.ndarray | None

    @classmethod
    def fromText(cls, text: str) -> "DetectionRecord":
        """Read the record. Raises ValueError when the text is none."""
        content = json.loads(text)
        try:
            affine = np.array(content["input"]["affine"], dtype=float)
            pose = content["facts"].get("template_from_scan")
            cls._defaultCut(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(_("The record of the detection lacks {part}.").format(part=error)) from error
        return cls(content, affine, None if pose is None else np.array(pose, dtype=float))

    @property
    def defaultCut(self) -> CutSettings:
        """How the command line cut the lesions: the model's operating point unless the user chose otherwise."""
        return self._defaultCut(self.content)

    @property
    def sentence(self) -> str:
        """The operating point in words."""
        return self.content["operating_point"]["sentence"]

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence each."""
        return tuple(self.content.get("warnings", ()))

    @property
    def modelName(self) -> str:
        """The model, or that several were averaged."""
        members = self.content["facts"].get("ensemble") or [self.content["model"]]
        return members[0]["id"] if len(members) == 1 else meanTitle(len(members))

    @property
    def attributes(self) -> dict[str, Any]:
        """What every node of the result carries."""
        model = self.content["model"]
        return {
            "model": model["id"],
            "version": model["version"],
            "method": model["method"],
            "weightsSha256": model["weights_sha256"],
            "licence": model["licence"],
            "ensemble": self.content["facts"].get("ensemble", []),
            "settings": self.content["settings"],
            "device": self.content["device"],
            "finished": self.content.get("finished", ""),
            "neurogen": self.content.get("versions", {}).get("neurogen", ""),
            "notice": self.content.get("notice", ""),
        }

    @staticmethod
    def _defaultCut(content: dict[str, Any]) -> CutSettings:
        settings = content["settings"]
        return CutSettings(
            float(content["operating_point"]["threshold"]), settings["direction"], float(settings["minimum_lesion_ml"])
        )
