"""The stand-ins by name, and how they get into `ctk`, `slicer` and the loader of forms."""

import inspect

from . import ctk_boxes, ctk_inputs, layout, modules, qmrml_widgets


def standIns() -> dict[str, type]:
    """Every stand-in widget by its class name."""
    found = {}
    for module in (ctk_boxes, ctk_inputs, qmrml_widgets, layout, modules):
        for name, member in vars(module).items():
            if inspect.isclass(member) and getattr(member, "standIn", False):
                found[name] = member
    return found
