"""The host catches what Slicer would not forgive, and what PySide6 alone would let pass."""

from pathlib import Path

import pytest

FORM = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Tiny</class>
 <widget class="qMRMLWidget" name="Tiny"><layout class="QVBoxLayout" name="verticalLayout">
  <item><widget class="qMRMLNodeComboBox" name="inputSelector">
    <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
    </widget></item>
  <item><widget class="ctkSliderWidget" name="thresholdSlider"><property name="maximum"><double>9.5</double></property>
    </widget></item>
  <item><widget class="QLabel" name="statusLabel"><property name="text"><string>ready</string></property>
    </widget></item>
  <item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property>
    </widget></item>
 </layout></widget>
 <connections>
  <connection><sender>Tiny</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>inputSelector</receiver>
   <slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
 </connections>
</ui>"""

MODULE = """
import qt, slicer, vtk
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Tiny"
        parent.categories = ["Testing"]
{moduleLines}


class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Tiny.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInput)
        self.inputs, self.applied = [], 0
{setupLines}

    def onInput(self, node):
        self.inputs.append(node)

    def onApply(self, checked=False):
        self.applied += 1
{applyLines}

    def cleanup(self):
        self.removeObservers()
"""


@pytest.fixture
def tiny(tmp_path: Path, enter_module):
    """Opens a small module with lines added to it: tiny(setup="…", apply="…", form=…)."""

    def open_(setup: str = "", apply: str = "", module: str = "", form: str = FORM) -> object:
        (tmp_path / "Resources" / "UI").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Resources" / "UI" / "Tiny.ui").write_text(form)
        lines = {"setupLines": setup, "applyLines": apply, "moduleLines": module}
        text = MODULE.format(**{key: f"        {line}" for key, line in lines.items()})
        (tmp_path / "Tiny.py").write_text(text)
        return enter_module(tmp_path / "Tiny.py")

    return open_


@pytest.fixture
def errors(slicer_app):
    """Lets the events run and gives the errors no caller saw; the test has looked at them, so it may pass."""
    from Testing.host import failures

    def look() -> list[str]:
        slicer_app.processEvents()
        return [failure.text for failure in failures.take()]

    return look


def addVolume():
    import numpy as np
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((4, 5, 6)), name="scan")


def test_a_sound_module_works(tiny, errors):
    widget = tiny()
    volume = addVolume()
    widget.ui.inputSelector.setCurrentNode(volume)
    widget.ui.thresholdSlider.value = 4.25
    widget.ui.applyButton.click()
    assert widget.inputs == [volume]
    assert (widget.applied, widget.ui.thresholdSlider.value, widget.ui.thresholdSlider.maximum) == (1, 4.25, 9.5)
    assert widget.ui.statusLabel.text == "ready"
    assert errors() == []


def test_property_called_as_a_method(tiny):
    with pytest.raises(TypeError, match="'str' object is not callable"):
        tiny(setup="self.ui.statusLabel.text()")


@pytest.mark.parametrize("value", ["'new'", "5"])
def test_misspelt_property(tiny, value):
    with pytest.raises(AttributeError, match="txt"):
        tiny(setup=f"self.ui.statusLabel.txt = {value}")


def test_misspelt_property_of_a_stand_in(tiny):
    with pytest.raises(AttributeError, match="vallue"):
        tiny(setup="self.ui.thresholdSlider.vallue = 3")


def test_misspelt_property_read(tiny):
    with pytest.raises(AttributeError, match="currentnode"):
        tiny(setup="self.ui.inputSelector.currentnode()")


def test_value_of_the_wrong_type(tiny):
    with pytest.raises(TypeError, match="enabled"):
        tiny(setup="self.ui.statusLabel.enabled = object()")


def test_unknown_signal(tiny):
    with pytest.raises(ValueError, match="no signal 'pressedd"):
        tiny(setup="self.ui.applyButton.connect('pressedd()', self.onApply)")


def test_wrong_signal_signature(tiny):
    with pytest.raises(ValueError, match=r"valueChanged\(double\)"):
        tiny(setup="self.ui.thresholdSlider.connect('valueChanged(int)', self.onApply)")


def test_unknown_widget_name(tiny):
    with pytest.raises(AttributeError, match="aplyButton"):
        tiny(setup="self.ui.aplyButton.enabled = False")


def test_unknown_class_in_the_form(tiny):
    with pytest.raises(RuntimeError, match="qMRMLNodeComboBoxx"):
        tiny(form=FORM.replace('class="qMRMLNodeComboBox"', 'class="qMRMLNodeComboBoxx"'))


def test_unknown_property_in_the_form(tiny):
    with pytest.raises(RuntimeError, match="has no property 'maximun'"):
        tiny(form=FORM.replace('name="maximum"', 'name="maximun"'))


def test_name_used_twice_in_the_form(tiny):
    with pytest.raises(RuntimeError, match="'statusLabel' is used twice"):
        tiny(form=FORM.replace('name="applyButton"', 'name="statusLabel"'))


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("setMRMLScene(vtkMRMLScene*)", "setMRMLSceen(vtkMRMLScene*)", "no slot"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "mrmlSceneChangedd(vtkMRMLScene*)", "no signal"),
        ("<receiver>inputSelector", "<receiver>otherSelector", "otherSelector"),
    ],
)
def test_wrong_connection_in_the_form(tiny, good, bad, said):
    with pytest.raises((ValueError, RuntimeError), match=said):
        tiny(form=FORM.replace(good, bad))


def test_forgotten_scene_connection(tiny):
    """Without mrmlSceneChanged -> setMRMLScene the selector stays empty and disabled, as it does in Slicer."""
    start, end = FORM.index(" <connections>"), FORM.index("</connections>") + len("</connections>")
    widget = tiny(form=FORM[:start] + FORM[end:])
    widget.ui.inputSelector.setCurrentNode(addVolume())
    assert widget.ui.inputSelector.currentNode() is None
    assert not widget.ui.inputSelector.enabled


def test_wrong_mrml_method_in_a_slot(tiny, errors):
    widget = tiny(apply="slicer.mrmlScene.GetNodeByIdd('x')")
    widget.ui.applyButton.click()
    assert any("GetNodeByIdd" in text for text in errors())


def test_exception_in_an_observer(tiny, errors):
    tiny(setup="self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, lambda *a: {}['observed'])")
    addVolume()
    assert any("KeyError: 'observed'" in text for text in errors())


def test_exception_in_a_timer(tiny, errors, slicer_app):
    import time

    tiny(setup="qt.QTimer.singleShot(0, lambda: {}['timed'])")
    time.sleep(0.01)
    assert any("KeyError: 'timed'" in text for text in errors())


def test_vtk_error(tiny, errors):
    tiny(setup="reader = vtk.vtkXMLImageDataReader(); reader.SetFileName('/absent.vti'); reader.Update()")
    assert any("absent.vti" in text for text in errors())


def test_dialog_nobody_expects(tiny, errors):
    tiny(apply="qt.QMessageBox().exec_()").ui.applyButton.click()
    assert any("does not expect" in text for text in errors())


def test_answered_dialog(tiny, errors):
    import qt

    from Testing.host import dialogs

    dialogs.answer(qt.QMessageBox.Ok)
    widget = tiny(apply="self.ok = slicer.util.confirmOkCancelDisplay('Really?')")
    widget.ui.applyButton.click()
    assert widget.ok is True
    assert [shown.text for shown in dialogs.take()] == ["Really?"]
    assert errors() == []


def test_pyside_only_names_are_hidden(slicer_app):
    import qt

    assert not {"Signal", "Slot", "Property"} & set(dir(qt))


def test_misspelt_module_text(tiny):
    with pytest.raises(AttributeError, match="helptext"):
        tiny(module="parent.helptext = 'x'")


def test_reload_and_unload(tiny, slicer_app, errors):
    import slicer

    first = tiny()
    first.onReload()
    second = slicer.modules.TinyWidget
    assert second is not first
    second.ui.applyButton.click()
    assert (first.applied, second.applied) == (0, 1)
    assert slicer.util.getModuleWidget("Tiny") is second
    slicer_app.moduleManager().unload("Tiny")
    assert not hasattr(slicer.modules, "tiny")
    assert errors() == []


def test_the_fixture_fails_a_test_with_hidden_errors(pytester_free_check):
    assert pytester_free_check("qt.QTimer.singleShot(0, lambda: 1 / 0)").startswith("1 errors that no caller saw")


@pytest.fixture
def pytester_free_check(_application):
    """Runs lines under the `slicer_app` fixture's own code and gives what it fails with."""
    from Testing.host.pytest_support import slicer_app

    def run(line: str) -> str:
        import qt

        generator = slicer_app.__wrapped__(_application) if hasattr(slicer_app, "__wrapped__") else None
        assert generator is not None
        next(generator)
        exec(line, {"qt": qt})
        with pytest.raises(pytest.fail.Exception) as failed:
            next(generator, None)
        return str(failed.value)

    return run
