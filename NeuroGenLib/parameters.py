"""Frozen dataclasses of settings, mirrored in a parameter node so that a saved scene brings them back.

Defaults have one home, the dataclasses; the node holds JSON and never redefines them.
"""

import json
import logging
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from neurogen.errors import NeuroGenError

Settings = TypeVar("Settings")


def readSettings(parameterNode, kind: type[Settings]) -> Settings:
    """The settings that a parameter node holds; the default of each that it does not hold or that cannot be read."""
    settings = kind()
    for field in fields(kind):
        text = parameterNode.GetParameter(_key(kind, field.name)) if parameterNode is not None else ""
        if not text:
            continue
        try:
            settings = replace(settings, **{field.name: _hashable(json.loads(text))})
        except (ValueError, TypeError, NeuroGenError) as error:
            logging.warning("The saved setting %s=%s is not used: %s", field.name, text, error)
    return settings


def writeSettings(parameterNode, settings: Any) -> None:
    """Put settings into a parameter node; one that has not changed causes no event."""
    wasModifying = parameterNode.StartModify()
    for name, value in asdict(settings).items():
        key, text = _key(type(settings), name), json.dumps(value)
        if parameterNode.GetParameter(key) != text:
            parameterNode.SetParameter(key, text)
    parameterNode.EndModify(wasModifying)


def _hashable(value: Any) -> Any:
    """JSON knows no tuples, frozen settings no lists."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _key(kind: type, name: str) -> str:
    return f"{kind.__name__}.{name}"
