"""Two methods on one scan: which results can be compared, at which thresholds, and what their markings share. No Qt."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from neurogen.affines import voxel_volume_ml
from neurogen.anomaly.overlap import overlap_of
from NeuroGenADLib.choices import METHODS, ModelChoice, meanTitle
from NeuroGenADLib.recut import CutSettings
from NeuroGenADLib.result import Result
from NeuroGenLib.geometry import ijkToRas
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import readStamp, segmentIds, segmentLabels

NEARLY = 0.005  # of an operating point: the widgets show no more


@dataclass(frozen=True)
class Marking:
    """What one method marked: regions, and their volume in milliliters."""

    title: str
    regions: int
    ml: float


@dataclass(frozen=True)
class Comparison:
    """What two methods marked, what both did (ml), and dice in [0, 1]; None where neither marked anything.

    point : the threshold of the first, in multiples of its operating point
    """

    first: Marking
    second: Marking
    sharedMl: float
    dice: float | None
    point: float

    @property
    def sentences(self) -> tuple[str, str]:
        """How alike the markings are, and where both were cut."""
        alike = _("Neither method marks anything. This does not mean that the brain is healthy.")
        if self.dice is not None:
            alike = _("Dice of the two markings: {dice:.2f} (1: the same, 0: nothing in common).")
            alike = alike.format(dice=self.dice)
        if abs(self.point - 1) < NEARLY:
            return alike, _("Each is cut at its own operating point, which means the same for every method.")
        return alike, _("Each is cut at {point:.2f} times its own operating point.").format(point=self.point)


def compareMarkings(first: Result, second: Result) -> Comparison:
    """Compare the segments of two results as they are now, also after a user's edits, on the grid of the first map.

    Raises ValueError when the segments or the record of one were deleted.
    """
    segmentations = [result.needed("lesions") for result in (first, second)]
    labels = [segmentLabels(segmentation, first.map) for segmentation in segmentations]
    found = overlap_of(*labels, voxel_ml=voxel_volume_ml(ijkToRas(first.map)))
    markings = [
        Marking(title, len(segmentIds(segmentation)), ml)
        for title, segmentation, ml in zip(titlesOf(first, second), segmentations, (found.first_ml, found.second_ml))
    ]
    return Comparison(*markings, found.shared_ml, found.dice, first.cut.threshold / first.record.defaultCut.threshold)


def othersOf(result: Result) -> list[Result]:
    """The other results of the same scan, oldest first; none where the scan was removed from the scene."""
    others = [other for other in Result.all() if other.map.GetID() != result.map.GetID()]
    return [other for other in others if isSameScan(result, other)]


def isSameScan(first: Result, second: Result) -> bool:
    """Whether two results were made from the same node, which is still in the scene."""
    inputs = first.input, second.input
    return None not in inputs and inputs[0].GetID() == inputs[1].GetID()


def titlesOf(first: Result, second: Result) -> tuple[str, str]:
    """The names of the methods; of two results by the same method the names of the results."""
    titles = methodTitle(first), methodTitle(second)
    return titles if titles[0] != titles[1] else (first.title, second.title)


def methodTitle(result: Result) -> str:
    """The name of the method that made a result, as the list of methods has it."""
    members = modelIds(result)
    if len(members) > 1:
        return meanTitle(len(members))
    method = readStamp(result.map).get("method", "")
    return METHODS.get(method, method) or result.title


def modelIds(result: Result) -> tuple[str, ...]:
    """The models that made a result; several where their scores were averaged."""
    stamp = readStamp(result.map)
    members = json.loads(stamp.get("ensemble", "[]"))
    return tuple(member["id"] for member in members) or (stamp.get("model", ""),)


def notYetRun(models: Sequence[ModelChoice], titles: Collection[str]) -> list[ModelChoice]:
    """The first model of each method whose title is none of these."""
    first: dict[str, ModelChoice] = {}
    for model in models:
        if model.methodTitle not in titles:
            first.setdefault(model.methodTitle, model)
    return list(first.values())


def atSamePoint(first: Result, second: Result) -> CutSettings:
    """Where to cut the second result so that it means the same as the cut of the first.

    Each method has a threshold of its own with one meaning for all, its operating point. Both are cut at the same
    multiple of it, with the same direction and smallest region. Raises ValueError for results of different scans.
    """
    if not isSameScan(first, second):
        text = _("{first} and {second} are results of different scans. Compare two results of one scan.")
        raise ValueError(text.format(first=first.title, second=second.title))
    point = first.cut.threshold / first.record.defaultCut.threshold
    return replace(first.cut, threshold=point * second.record.defaultCut.threshold)


def markingsKey(first: Result, second: Result) -> tuple:
    """What changes whenever the segments of one of two results do. Raises ValueError when they were deleted."""
    found = [(result.map.GetID(), result.needed("lesions").GetSegmentation()) for result in (first, second)]
    return tuple((name, segments.GetMTime()) for name, segments in found)
