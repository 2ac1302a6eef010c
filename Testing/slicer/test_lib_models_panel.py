"""The models panel, clicked through the host: what it shows, and that models come and go whole."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def user_models(monkeypatch, tmp_path):
    """An empty folder for the user's own models, with a blank in its name."""
    folder = tmp_path / "my models"
    monkeypatch.setenv("NEUROGEN_MODELS", str(folder))
    return folder


@pytest.fixture
def panel(slicer_app, user_models):
    from NeuroGenLib.models_panel import ModelsPanel

    changes = []
    made = ModelsPanel(onChanged=lambda: changes.append(1))
    made.changes = changes
    yield made
    made.deleteLater()


@pytest.fixture
def model_zip(tmp_path):
    """The shipped brain mask under another id, as a .zip file."""
    import json

    from neurogen.models import ModelStore

    source = ModelStore().get("brain-mask")
    folder = tmp_path / "my-mask"
    shutil.copytree(source.path, folder)
    manifest = {**source.manifest, "id": "my-mask"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    path = tmp_path / "my mask ü.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"my-mask/{file.name}")
    return path


def ids(panel):
    return [panel.table.item(row, 0).text() for row in range(panel.table.rowCount)]


def select(panel, name):
    panel.table.selectRow(ids(panel).index(name))


def test_making_it_reads_nothing_and_refresh_lists_the_shipped_models(panel):
    assert panel.table.rowCount == 0
    assert not panel.verifyButton.enabled
    panel.refresh()
    assert {"adult-reflect", "brain-mask"} <= set(ids(panel))
    select(panel, "adult-reflect")
    assert "Trained on" in panel.card.plainText
    assert "Research use only" in panel.card.plainText
    assert not panel.deleteButton.enabled
    assert panel.deleteButton.toolTip == "Models that come with NeuroGen stay."


def test_verify_says_what_it_found(panel):
    panel.refresh()
    select(panel, "brain-mask")
    panel.verifyButton.click()
    assert "as it was published" in panel.status.text
    assert panel.table.item(panel.table.currentRow(), 4).text() == "verified"


def test_open_folder_opens_the_folder_of_the_model(panel, monkeypatch):
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())))
    panel.refresh()
    select(panel, "brain-mask")
    panel.folderButton.click()
    assert [folder.name for folder in opened] == ["brain-mask"] and (opened[0] / "manifest.json").is_file()


def test_install_from_file_then_delete(panel, user_models, model_zip):
    import qt

    from Testing.host import dialogs

    panel.refresh()
    before = ids(panel)
    dialogs.answer(str(model_zip))
    panel.installButton.click()
    assert ids(panel) == [*before, "my-mask"]
    assert (user_models / "my-mask" / "weights.safetensors").is_file()
    assert "installed and verified" in panel.status.text
    select(panel, "my-mask")
    assert panel.deleteButton.enabled
    dialogs.answer(qt.QMessageBox.Ok)
    panel.deleteButton.click()
    assert ids(panel) == before
    assert not (user_models / "my-mask").exists()
    assert len(panel.changes) == 2


def test_a_damaged_model_is_listed_and_named(panel, user_models, model_zip):
    panel.install(str(model_zip))
    weights = user_models / "my-mask" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    select(panel, "my-mask")
    panel.verifyButton.click()
    assert "SHA-256" in panel.status.text
    weights.unlink()
    panel.refresh()
    assert panel.rows[panel.table.currentRow()].problem == "Missing: weights.safetensors. Install it again."


@pytest.mark.parametrize("content", [b"not a zip", b""])
def test_a_foreign_file_is_refused_with_a_sentence(panel, user_models, tmp_path, caplog, content):
    path = tmp_path / "holiday.zip"
    path.write_bytes(content)
    panel.install(str(path))
    assert "holiday.zip is not a .zip file" in caplog.text  # slicer.util logs what it shows
    assert not user_models.exists() or not any(user_models.iterdir())
    assert panel.changes == []


def test_no_torch_is_imported(panel, monkeypatch):
    for name in [name for name in sys.modules if name == "torch" or name.startswith("torch.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    panel.refresh()
    assert panel.table.rowCount > 0
