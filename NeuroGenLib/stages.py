"""What the stages of the command line are called in the panels."""

from collections.abc import Mapping

from NeuroGenLib.i18n import tr as _

COMMON = {
    "reading": _("Reading the input"),
    "brain mask": _("Finding the brain"),
    "bias field": _("Evening out the shading of the coil"),
    "registration": _("Aligning with the template"),
    "resampling": _("Resampling"),
    "writing": _("Writing the results"),
    "report": _("Drawing the report"),
    "done": _("Loading the results"),
}


def stageText(stage: str, own: Mapping[str, str]) -> str:
    """The name of a stage: a module's `own` ones come before the common ones; an unknown stage is its own name."""
    titles = [*own.items(), *COMMON.items()]
    return next((title for name, title in titles if stage.startswith(name)), stage)
