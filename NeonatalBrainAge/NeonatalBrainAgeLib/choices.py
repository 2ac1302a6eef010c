"""What the panel offers: models, devices, infants to compare with, colorings."""

from NeonatalBrainAgeLib.settings import CHARTS, COLORINGS, FEATURES
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.models_logic import ages, manifestOf, modelTitles

AGE_TASK, REGIONS_TASK = "brain-age", "regions"
CHART_TITLES = dict(
    zip(CHARTS, (_("all infants"), _("born at term"), _("born preterm"), _("girls"), _("boys")), strict=True)
)
COLORING_TITLES = dict(
    zip(COLORINGS, (_("z-score of SVR"), _("z-score of RV"), _("importance"), _("regions")), strict=True)
)
FEATURE_TITLES = dict(zip(FEATURES, (_("surface-to-volume ratio"), _("relational volume")), strict=True))
STAGES = {
    "reading the age": _("Reading the age"),
    "finding regions": _("Finding the regions"),
    "regions": _("Bringing the regions to the scan"),
    "measuring": _("Measuring the regions"),
    "drawing": _("Drawing the charts"),
}


def ageModels() -> dict[str, str]:
    """Id and title of the installed age models, shipped ones first."""
    return modelTitles(AGE_TASK)


def segmenters() -> dict[str, str]:
    """Id and title of the installed models that find regions."""
    return modelTitles(REGIONS_TASK)


def modelText(modelId: str) -> str:
    """Ages and license of an installed model in a sentence."""
    manifest = manifestOf(modelId)
    return _("For {ages}. Weights: {licence}").format(ages=ages(manifest), licence=manifest["licence"])
