"""Settings in a parameter node: they come back equal, and what cannot be read is the default."""

from dataclasses import dataclass, fields

import pytest

from NeuroGenLib.parameters import readSettings, writeSettings


@dataclass(frozen=True)
class Settings:
    name: str = "a"
    steps: int = 1
    threshold: float | None = None
    models: tuple[str, ...] = ()
    registered: bool = False

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@pytest.fixture
def node(bare_scene):
    return bare_scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.mark.parametrize("settings", [Settings(), Settings("ü b", 3, 2.5, ("x", "y"), True)])
def test_settings_come_back_equal(node, settings):
    writeSettings(node, settings)
    assert readSettings(node, Settings) == settings
    hash(readSettings(node, Settings))


def test_what_is_not_there_or_cannot_be_read_is_the_default(node):
    assert readSettings(node, Settings) == Settings()
    assert readSettings(None, Settings) == Settings()
    writeSettings(node, Settings("b", 3))
    node.SetParameter("Settings.steps", "0")
    assert readSettings(node, Settings) == Settings("b")
    node.SetParameter("Settings.name", "{")
    assert readSettings(node, Settings) == Settings()


def test_writing_what_is_there_causes_no_event(node):
    writeSettings(node, Settings("b"))
    events = []
    node.AddObserver("ModifiedEvent", lambda *_: events.append(1))
    writeSettings(node, Settings("b"))
    assert events == []
    writeSettings(node, Settings("c", 2))
    assert len(events) == 1
    assert len(node.GetParameterNames()) == len(fields(Settings))
