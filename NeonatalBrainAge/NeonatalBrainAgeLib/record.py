"""What made a result: `age.json`, which the command line writes and the scene keeps."""

import json
from dataclasses import dataclass
from typing import Any

from NeuroGenLib.i18n import tr as _

_NEEDED = ("predicted_weeks", "interval_90_weeks", "age_weeks", "corrected_gap_weeks", "chart_age_weeks", "charts",
           "warnings", "model", "segmented_by")  # fmt: skip


@dataclass(frozen=True, eq=False)
class AgeRecord:
    """The content of `age.json`, and its parts as the panel shows them."""

    content: dict[str, Any]

    @classmethod
    def fromText(cls, text: str) -> "AgeRecord":
        """Read the record. Raises ValueError when the text is none."""
        content = json.loads(text)
        missing = [name for name in _NEEDED if name not in content]
        if missing:
            raise ValueError(f"The record of the reading lacks {', '.join(missing)}.")
        return cls(content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence each."""
        return tuple(self.content["warnings"])

    @property
    def isSegmented(self) -> bool:
        """Whether the regions were found by a network."""
        return self.content["segmented_by"] is not None

    @property
    def summary(self) -> str:
        """Age and interval in a sentence."""
        low, high = self.content["interval_90_weeks"]
        return _("Brain age {age:.1f} postmenstrual weeks (9 of 10 readings: {low:.1f} to {high:.1f})").format(
            age=self.content["predicted_weeks"], low=low, high=high
        )

    @property
    def gap(self) -> str:
        """The gap in a sentence."""
        gap = self.content["corrected_gap_weeks"]
        if gap is None:
            return _("Age at scan not given: no gap; regions are compared with infants of the predicted age.")
        text = _("Age at scan {age:.1f} weeks. Gap, corrected for the pull to the mean: {gap:+.1f} weeks.")
        return text.format(age=self.content["age_weeks"], gap=gap)

    @property
    def attributes(self) -> dict[str, Any]:
        """What every node of the result carries."""
        model, segmenter = self.content["model"], self.content["segmented_by"]
        return {
            "model": model["id"],
            "version": model["version"],
            "weightsSha256": model["files"].get("weights.safetensors", ""),
            "licence": model["licence"],
            "segmentedBy": segmenter["id"] if segmenter else "",
            "settings": {"age_weeks": self.content["age_weeks"], "charts": self.content["charts"]},
            "finished": self.content.get("finished", ""),
            "neurogen": self.content.get("versions", {}).get("neurogen", ""),
            "notice": self.content.get("notice", ""),
        }
