"""The REFLECT recipe in miniature: pixels, reflow, latents; resume; what the exported model does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import phantom

from neurogen.anomaly.detector import ScoreSettings, load_detector
from neurogen.anomaly.score import score_slices, score_volume
from neurogen.models import ModelStore, write_model
from neurogen.networks.small_weights import reduced
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.training import export_reflect
from neurogen.training.artifacts import ArtifactSettings
from neurogen.training.cache import SliceCache, to_uint8, write_index, write_scan
from neurogen.training.dataset import add_pictures
from neurogen.training.healthy_context import volume_of
from neurogen.training.loop import LoopSettings
from neurogen.training.recipe_autoencoder import AutoencoderSettings
from neurogen.training.recipe_autoencoder import run as train_autoencoder
from neurogen.training.recipe_reflect import ReflectSettings, ReflectTask, blend, run

LOOP = LoopSettings(steps=2, batch_size=4, warmup_steps=1, validate_every=2, seed=5, device="cpu", threads=1)
SMALL = ReflectSettings(widths=(8, 16), blocks=1, textures=4, validation_slices=5, loop=LOOP)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Three phantom scans and nine FLAIR-like slices, as small a cache as every step of the recipe can live on."""
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    rows = []
    for k, split in enumerate(["train", "train", "calibrate"]):
        image, brain = phantom(GRID_SHAPE, GRID_AFFINE, noise=0.02, rng=rng)
        image = np.clip(image.array, 0, 1)
        image[:, :, : GRID_SHAPE[2] // 2 - 8] = 0  # sixteen slices are enough
        image[:, :, GRID_SHAPE[2] // 2 + 8 :] = 0
        write_scan(folder, f"s{k}", to_uint8(image, brain.array & (image > 0)), GRID_AFFINE)
        rows.append({"id": f"s{k}", "source": "phantom", "split": split, "contrast": "t1w"})
    write_index(folder, "t1", rows)
    pictures = to_uint8(image, brain.array)[:, ::-1, GRID_SHAPE[2] // 2].T[None].repeat(9, 0)[:, 1:190, 1:158]
    split = ["train"] * 6 + ["calibrate"] * 3
    add_pictures(folder, "flair", pictures, level=80, contrast="flair", split=split)
    return folder


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(export_reflect, "HEALTHY_SCANS", 2)
    monkeypatch.setattr(export_reflect, "PLANTED_SLICES", 3)
    return tmp_path / "models"


@pytest.mark.slow
def test_train_export_score_and_reflow(cache, store):
    result = run(cache, store, replace(SMALL, model_id="tiny"))
    assert result.steps == 2 and {"ap_t1w", "ap_flair", "score"} <= set(result.history[-1])
    model = ModelStore().get("tiny")
    assert model.manifest["codec"] == {"kind": "pixel", "factor": 2}
    assert model.manifest["calibration"]["t1w"]["scans"] == 1
    subject = SliceCache.load(cache)
    image, brain = volume_of(subject, "s2")
    score, pseudo_healthy = score_volume(model, image, brain)
    assert score.shape == pseudo_healthy.shape == GRID_SHAPE
    assert (score[~brain] == 0).all() and (pseudo_healthy[~brain] == 0).all()
    pictures, inside = export_reflect.pictures_of(subject, "flair", "calibrate")
    together = score_slices(model, pictures, inside, contrast="flair")
    alone = score_slices(model, pictures[:1], inside[:1], contrast="flair")
    np.testing.assert_allclose(together[:1], alone, atol=1e-3)

    second = run(cache, store / "second", replace(SMALL, model_id="tiny-2", teacher="tiny"))
    assert second.steps == 2
    assert ModelStore().get(str(store / "second" / "tiny-2")).manifest["method"] == "reflect-2"

    on = ReflectTask(subject, replace(SMALL, start_from="tiny", widths=(16, 32)), facts={})  # its network wins
    for name, value in model.weights().items():
        assert torch.equal(on.network.state_dict()[name].half(), value)

    weights = {name: value.float() for name, value in model.weights().items()}
    write_model(store / "tiny-8-bit", {k: v for k, v in model.manifest.items() if k != "files"}, reduced(weights))
    small = ReflectTask(subject, replace(SMALL, start_from=str(store / "tiny-8-bit")), facts={})
    for name, value in small.network.state_dict().items():
        torch.testing.assert_close(value, weights[name], atol=float(weights[name].abs().max()) / 200 + 1e-3, rtol=0)


def test_training_slices_are_leveled_where_detection_levels(cache):
    """With leveling, without it, and for the slices of one level, which have no volume to level."""
    slices = SliceCache.load(cache)
    chosen = {name: slices.where(split="train", contrast=name)[4:6] for name in ("t1w", "flair")}
    leveled, plain = (ReflectTask(slices, replace(SMALL, leveling_cells=cells), facts={}) for cells in (8.0, None))
    same = {name: torch.equal(*(t._slabs(index, name)[0] for t in (leveled, plain))) for name, index in chosen.items()}
    assert same == {"t1w": False, "flair": True}
    assert leveled.detector().levelings.keys() == {"t1w"} and not plain.detector().levelings


def test_healthy_batches_hold_artifacts_in_the_target(cache):
    """Shown as healthy: the corrupted slice differs from its target only where it was corrupted."""
    slices = SliceCache.load(cache)
    settings = replace(SMALL, artifacts=ArtifactSettings(noise_share=1.0, noise=0.5))
    without = replace(SMALL, artifacts=ArtifactSettings(motion_share=0.0, resolution_share=0.0, noise_share=0.0))
    restless, quiet = (
        next(ReflectTask(slices, s, facts={}).healthy_batches(8, torch.Generator().manual_seed(1)))[0].code
        for s in (settings, without)
    )
    assert roughness(restless) > 1.5 * roughness(quiet)


def roughness(code):
    return float(code.diff(dim=-1).abs().mean())


def test_blended_weights_lie_between_start_and_end():
    start, end = {"w": torch.tensor([1.0, 5.0]).half()}, {"w": torch.tensor([3.0, 5.0])}
    for share, expected in ((0.0, [3.0, 5.0]), (0.5, [2.0, 5.0]), (1.0, [1.0, 5.0])):
        torch.testing.assert_close(blend(start, end, share)["w"], torch.tensor(expected))


def test_the_network_sees_the_other_side_unless_told_otherwise(cache):
    slices = SliceCache.load(cache)
    for mirror in (True, False):
        network = ReflectTask(slices, replace(SMALL, mirror=mirror), facts={}).network.eval()
        torch.nn.init.normal_(network.leave[2].weight)
        z, context = torch.zeros(1, 1, 96, 80), torch.zeros(1, 2, 96, 80)
        z[..., 40:50, 8:16] = 1.0
        other = z.clone()
        other[..., 40:50, 8:16] = 2.0
        arguments = torch.zeros(1), torch.zeros(1, dtype=torch.long), context
        with torch.no_grad():
            entered = [network.enter(network.seen(x, context)) for x in (z, other)]
        far_side = (entered[0] != entered[1])[..., 30:]
        assert bool(far_side.any()) == mirror
        assert network(z, *arguments).shape == z.shape


@pytest.mark.slow
def test_the_latent_path_trains_and_scores(cache, store):
    settings = AutoencoderSettings(
        model_id="tiny-ae", channels=(16,), validation_slices=2, loop=replace(LOOP, steps=1, validate_every=1)
    )
    train_autoencoder(cache, store, settings)
    run(cache, store / "latent", replace(SMALL, model_id="tiny-latent", autoencoder="tiny-ae"))
    model = ModelStore().get(str(store / "latent" / "tiny-latent"))
    detector = load_detector(model)
    assert detector.codec.factor == 4
    image, brain = volume_of(SliceCache.load(cache), "s2")
    maps, _ = detector.volume_maps(image, brain, "t1w", ScoreSettings())
    assert maps.flow.shape == (80, 96, 80) and np.isfinite(maps.flow).all()


def test_the_same_generator_draws_the_same_pairs(cache):
    task = ReflectTask(SliceCache.load(cache), SMALL, facts={})
    one, two = (task.draw_pairs(4, torch.Generator().manual_seed(8)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)
    corrupted, healthy, contrast, context = one
    assert context.shape == (4, 2, 96, 80)
    assert corrupted.shape == healthy.shape == (4, 1, 96, 80)
    assert not torch.equal(corrupted, healthy)
    assert set(contrast.tolist()) <= {0, 1}
