"""What the panel offers: models, ways to adapt, planes, comparisons."""

from NeuroGenHarmonizeLib.settings import ADAPTS, COMPARISONS, PLANES, STOPS
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.models_logic import manifestOf, modelTitles
from NeuroGenLib.stages import stageText

TASK = "harmonize"
ADAPT_TITLES = dict(
    zip(ADAPTS, (_("to all chosen scans together"), _("to each scan by itself"), _("not at all")), strict=True)
)
STOP_TITLES = dict(
    zip(STOPS, (_("as likely as the reference"), _("segmenter is surest"), _("after all steps")), strict=True)
)
PLANE_TITLES = dict(zip(PLANES, (_("axial"), _("coronal"), _("sagittal"), _("mean of all three")), strict=True))
COMPARISON_TITLES = dict(
    zip(COMPARISONS, (_("harmonized"), _("input"), _("fade between both"), _("checkerboard")), strict=True)
)


def siteModels() -> dict[str, str]:
    """Id and title of the installed models of reference sites, shipped ones first."""
    return modelTitles(TASK)


def modelText(modelId: str) -> str:
    """What a model was trained on, in a sentence."""
    manifest = manifestOf(modelId)
    names = ", ".join(entry["name"] for entry in manifest["training_data"])
    return _("Reference: {names}. Weights: {licence}").format(names=names, licence=manifest["licence"])


def stageTitle(stage: str) -> str:
    """What a stage of the command line is called in the panel."""
    if stage.startswith("adapting"):
        return _("Adapting to the site: {step}").format(step=stage.partition(": ")[2])
    return stageText(stage, {})
