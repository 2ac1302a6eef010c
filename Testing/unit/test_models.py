"""The model store: what was written is read back, and nothing damaged, foreign or renamed is ever used."""

import json
import zipfile
from pathlib import Path

import pytest

from neurogen.errors import ModelUnavailable, UsageError
from neurogen.manifest import KEYS, check_manifest
from neurogen.model_card import model_card
from neurogen.models import Model, ModelStore, user_folder, write_model
from neurogen.networks import factory

torch = pytest.importorskip("torch")


def manifest(name: str = "tiny", **changes) -> dict:
    return {
        "id": name,
        "version": "1",
        "task": "anomaly",
        "method": "reflect",
        "contrasts": ["T1w"],
        "age_range": [20, 80],
        "spacing_mm": 1.0,
        "network": {"factory": "velocity_unet", "arguments": {}},
        "training_data": [{"name": "heads", "terms": "CC0", "scans": 3}],
        "training": {"seed": 0, "steps": 10},
        "calibration": {"threshold": 3.0},
        "measured": [{"protocol": "planted", "recall": 0.8}],
        "seconds": {"cpu": 10.0},
        "licence": "CC BY 4.0",
        **changes,
    }


def weights() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {"w": torch.randn(3, 4, generator=generator), "count": torch.tensor([7])}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    write_model(tmp_path / "shipped" / "tiny", manifest(), weights())
    (tmp_path / "user").mkdir()
    return ModelStore(shipped=tmp_path / "shipped", user=tmp_path / "user")


def zip_of(folder: Path, target: Path, *, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{prefix}{path.name}")
    return target


def test_written_weights_come_back_in_half_precision(store):
    read = store.get("tiny").weights()
    assert read["w"].dtype == torch.float16
    assert torch.equal(read["w"], weights()["w"].half())
    assert torch.equal(read["count"], torch.tensor([7]))


def test_extra_tensors_travel_with_the_model(tmp_path):
    model = write_model(tmp_path / "m", manifest("m"), weights(), extra={"healthy": {"mean": torch.ones(2)}})
    assert torch.equal(model.tensors("healthy")["mean"], torch.ones(2).half())
    with pytest.raises(ModelUnavailable, match=r"no file absent\.safetensors"):
        model.tensors("absent")


def test_model_card_states_what_the_manifest_states(store):
    card = (store.shipped / "tiny" / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card and "heads: 3 scans, CC0" in card and "recall 0.8" in card


def test_model_card_tells_the_phases_that_a_training_went_on_from():
    told = manifest("m") | {"training": {"seed": 1, "steps": 9, "earlier_phases": ["5 steps without a mirror"]}}
    lines = model_card(told | {"code_version": "0"}).splitlines()
    assert lines[lines.index("- seed 1, steps 9") + 1] == "- before that: 5 steps without a mirror"


def test_writing_again_replaces_and_leaves_nothing_beside(store):
    write_model(store.shipped / "tiny", manifest(version="2"), weights())
    assert store.get("tiny").manifest["version"] == "2"
    assert [path.name for path in store.shipped.iterdir()] == ["tiny"]


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_values_beyond_half_precision_are_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="half precision"):
        write_model(tmp_path / "m", manifest("m"), {"w": torch.tensor([value])})
    assert not (tmp_path / "m").exists()


def test_files_above_the_limit_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="6 MiB"):
        write_model(tmp_path / "m", manifest("m"), {"w": torch.zeros(3 * 2**20 + 1000)})


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ("files", "code_version")])
def test_every_key_of_the_manifest_is_needed(tmp_path, key):
    incomplete = {k: v for k, v in manifest("m").items() if k != key}
    with pytest.raises(ValueError, match=key):
        write_model(tmp_path / "m", incomplete, weights())


def test_wrong_types_are_named(store):
    complete = store.get("tiny").manifest
    assert check_manifest(complete) == []
    assert "'contrasts'" in check_manifest({**complete, "contrasts": "T1w"})[0]
    assert "two numbers" in check_manifest({**complete, "age_range": [80, 20]})[0]
    assert "task" in check_manifest({**complete, "task": "magic"})[0]
    assert check_manifest([1, 2]) == ["it is no table of keys"]


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "another file", "removed", "renamed"])
def test_damaged_weights_are_refused(store, damage):
    path = store.shipped / "tiny" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "truncated":
        path.write_bytes(content[:-3])
    elif damage == "another file":
        path.write_bytes(b"not weights at all")
    elif damage == "removed":
        path.unlink()
    else:
        path.rename(path.with_name("weights-old.safetensors"))
    with pytest.raises(ModelUnavailable, match="nstall the model again"):
        store.get("tiny").weights()
    with pytest.raises(ModelUnavailable):
        store.get("tiny").verify()


def test_a_foreign_file_with_a_matching_checksum_is_refused(store):
    import hashlib

    folder = store.shipped / "tiny"
    (folder / "weights.safetensors").write_bytes(b"\x80\x04pickle")
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content["files"]["weights.safetensors"] = {"sha256": hashlib.sha256(b"\x80\x04pickle").hexdigest(), "bytes": 8}
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ModelUnavailable, match="not a safetensors file"):
        store.get("tiny").weights()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3}', "\udcff"])
def test_damaged_manifests_are_refused(store, text):
    (store.shipped / "tiny" / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelUnavailable, match="again"):
        store.get("tiny")


def test_unknown_and_renamed_models_are_refused(store):
    with pytest.raises(ModelUnavailable, match="Present: tiny"):
        store.get("absent")
    (store.shipped / "tiny").rename(store.shipped / "other")
    with pytest.raises(ModelUnavailable, match="renamed"):
        store.get("other")


@pytest.mark.parametrize("prefix", ["", "tiny/", "a/b/"])
def test_a_zip_installs_wherever_its_folder_lies(store, tmp_path, prefix):
    source = write_model(tmp_path / "mine", manifest("mine"), weights())
    model = store.install(zip_of(source.path, tmp_path / "mine.zip", prefix=prefix))
    assert model.path == store.user / "mine" and not model.shipped
    assert torch.equal(model.weights()["w"], source.weights()["w"])
    assert [path.name for path in store.user.iterdir()] == ["mine"]
    assert store.ids() == ["tiny", "mine"]


def test_a_folder_installs_and_can_be_removed(store, tmp_path):
    store.install(write_model(tmp_path / "anything", manifest("mine"), weights()).path)
    with pytest.raises(UsageError, match="remove that one first"):
        store.install(tmp_path / "anything")
    store.remove("mine")
    assert store.ids() == ["tiny"]


def test_a_shipped_model_is_neither_replaced_nor_removed(store, tmp_path):
    source = write_model(tmp_path / "mine", manifest("tiny"), weights())
    with pytest.raises(UsageError, match="another id"):
        store.install(source.path)
    with pytest.raises(UsageError, match="stays"):
        store.remove("tiny")
    with pytest.raises(ModelUnavailable, match="cannot be a model's id"):
        store.remove("../shipped/tiny")


@pytest.mark.parametrize("name", ["../evil.safetensors", "/evil.safetensors", "a/../../evil", "C:\\evil", "..\\evil"])
def test_a_zip_that_names_a_path_outside_installs_nothing(store, tmp_path, name):
    source = write_model(tmp_path / "mine", manifest("mine"), weights())
    path = zip_of(source.path, tmp_path / "mine.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelUnavailable, match="outside itself"):
        store.install(path)
    assert list(store.user.iterdir()) == []


def test_a_zip_bomb_installs_nothing(store, tmp_path):
    source = write_model(tmp_path / "mine", manifest("mine"), weights())
    (source.path / "bomb.safetensors").write_bytes(bytes(65 * 2**20))
    path = zip_of(source.path, tmp_path / "mine.zip")
    assert path.stat().st_size < 2**20
    with pytest.raises(ModelUnavailable, match="64 MiB at most"):
        store.install(path)
    assert list(store.user.iterdir()) == []


def test_a_damaged_model_is_not_installed(store, tmp_path):
    source = write_model(tmp_path / "mine", manifest("mine"), weights())
    (source.path / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        store.install(source.path)
    assert list(store.user.iterdir()) == []


def test_no_model_in_the_file(store, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for source, reason in (("notes.txt", "not a .zip"), ("absent.zip", "does not exist")):
        with pytest.raises(ModelUnavailable, match=reason):
            store.install(tmp_path / source)


def test_the_environment_chooses_the_user_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path))
    assert user_folder() == tmp_path
    monkeypatch.delenv("NEUROGEN_MODELS")
    assert user_folder().name == "models"


def test_a_model_can_be_named_by_its_folder(store, tmp_path):
    source = write_model(tmp_path / "trained", manifest("mine"), weights())
    assert store.get(str(source.path)).id == "mine"


@pytest.mark.parametrize(
    "network",
    [
        {"factory": "os.system", "arguments": {}},
        {"factory": ["velocity_unet"], "arguments": {}},
        {"factory": "velocity_unet", "arguments": []},
        {"factory": "velocity_unet", "arguments": {"__class__": 1}},
        {"arguments": {}},
    ],
)
def test_only_whitelisted_networks_with_known_arguments_are_built(network):
    with pytest.raises(ModelUnavailable):
        factory.build(network)


def test_oversized_and_structured_arguments_are_refused(monkeypatch):
    linear(monkeypatch)
    for value in (10**9, {"a": 1}, [1] * 33, [[10**9]]):
        with pytest.raises(ModelUnavailable, match="plain values"):
            factory.build({"factory": "velocity_unet", "arguments": {"inputs": value}})
    with pytest.raises(ModelUnavailable, match=r"lacks \['inputs'\]"):
        factory.build({"factory": "velocity_unet", "arguments": {}})


def test_weights_of_another_network_are_refused(monkeypatch, tmp_path):
    linear(monkeypatch)
    network = {"factory": "velocity_unet", "arguments": {"inputs": 4}}
    state = torch.nn.Linear(4, 2).state_dict()
    model = write_model(tmp_path / "m", manifest("m", network=network), state)
    loaded = factory.load_network(model)
    assert loaded.weight.dtype == torch.float32 and not loaded.training and not loaded.weight.requires_grad
    other = write_model(tmp_path / "n", manifest("n", network=network), torch.nn.Linear(5, 2).state_dict())
    with pytest.raises(ModelUnavailable, match="do not fit"):
        factory.load_network(other)


def linear(monkeypatch) -> None:
    """Let the whitelist lead to a module of this test with a tiny `build`."""
    monkeypatch.setitem(factory.FACTORIES, "velocity_unet", __name__)


def build(inputs: int) -> "torch.nn.Module":
    return torch.nn.Linear(inputs, 2)


def test_a_model_is_known_by_the_checksum_of_its_weights(store):
    import hashlib

    model: Model = store.get("tiny")
    assert model.sha256 == hashlib.sha256((model.path / "weights.safetensors").read_bytes()).hexdigest()


def test_equal_models_are_one_key_and_a_new_training_is_another(store):
    first, again = store.get("tiny"), store.get("tiny")
    assert first == again and len({first, again}) == 1
    write_model(store.shipped / "tiny", manifest(calibration={"threshold": 4.0}), weights())
    assert store.get("tiny") != first
