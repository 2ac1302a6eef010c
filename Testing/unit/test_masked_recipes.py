"""The MAD-AD and DeCo-Diff recipes in miniature: batches, start from REFLECT, export, scores, resume, bad settings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_recipe_reflect import LOOP, SMALL, cache, store  # noqa: F401  (fixtures)

from neurogen.anomaly.deco_diff import COMBINATIONS, DecoDiffCorrection
from neurogen.anomaly.detector import ScoreSettings, load_detector
from neurogen.anomaly.mad_ad import SOURCES, MadAdCorrection
from neurogen.anomaly.masked_diffusion import PatchSettings
from neurogen.anomaly.score import score_slices, score_volume
from neurogen.commands.train import build_settings
from neurogen.errors import ModelUnavailable, UsageError
from neurogen.evaluation.methods import OwnMap
from neurogen.models import ModelStore
from neurogen.preprocess.grid import GRID_SHAPE
from neurogen.training import export_reflect
from neurogen.training.cache import SliceCache
from neurogen.training.healthy_context import volume_of
from neurogen.training.masked_task import MaskedTask
from neurogen.training.recipe_autoencoder import AutoencoderSettings
from neurogen.training.recipe_autoencoder import run as train_autoencoder
from neurogen.training.recipe_deco_diff import DecoDiffSettings, DecoDiffTask
from neurogen.training.recipe_deco_diff import run as train_deco_diff
from neurogen.training.recipe_mad_ad import MadAdSettings, MadAdTask
from neurogen.training.recipe_mad_ad import run as train_mad_ad
from neurogen.training.recipe_reflect import run as train_reflect

TINY = {"widths": (8, 16), "blocks": 1, "validation_slices": 5, "validation_steps": 1, "loop": LOOP}
MAD_AD = MadAdSettings(model_id="tiny-mad", correction=MadAdCorrection(steps=2, mask_threshold=0.3), **TINY)
DECO_DIFF = DecoDiffSettings(model_id="tiny-deco", correction=DecoDiffCorrection(steps=2), **TINY)
TASKS = [(MadAdTask, MAD_AD), (DecoDiffTask, DECO_DIFF)]


@pytest.mark.parametrize(("kind", "settings"), TASKS, ids=["mad-ad", "deco-diff"])
def test_the_same_generator_draws_the_same_batch(kind, settings, cache):  # noqa: F811
    task = kind(SliceCache.load(cache), settings, facts={})
    one, two = (task.draw_batch(torch.Generator().manual_seed(8)) for _ in range(2))
    for name in ("clean", "noise", "mask", "t", "contrast"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert one.noise.shape == one.clean.shape == (4, 1, 96, 80) and one.mask.shape == (4, 1, 96, 80)
    assert set(one.mask.unique().tolist()) <= {0.0, 1.0} and one.t.min() >= 1 and one.t.max() <= 10
    assert (one.clean[one.mask > 0] > one.lowest.max()).any()  # noise comes into the brain


def test_without_conditioning_every_contrast_is_the_same_to_the_network(cache):  # noqa: F811
    task = DecoDiffTask(SliceCache.load(cache), replace(DECO_DIFF, conditional=False), facts={})
    assert {scale.index for scale in task.scales.values()} == {0}
    assert task.network_description()["arguments"]["contrasts"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "settings", "method"),
    [(train_mad_ad, MAD_AD, "mad-ad"), (train_deco_diff, DECO_DIFF, "deco-diff")],
    ids=["mad-ad", "deco-diff"],
)
def test_start_from_reflect_train_export_and_score(train, settings, method, cache, store, monkeypatch):  # noqa: F811
    train_reflect(cache, store, replace(SMALL, model_id="tiny", loop=replace(LOOP, steps=1)))
    settings = replace(settings, start_from="tiny")
    result = train(cache, store / "out", settings)
    assert result.steps == 2 and {"ap_t1w", "ap_flair", "score"} <= set(result.history[-1])
    model = ModelStore().get(str(store / "out" / settings.model_id))
    assert model.manifest["method"] == method and model.manifest["correction"]["steps"] == 2
    assert model.manifest["context"]["model"] == "tiny" and "context.safetensors" not in model.manifest["files"]
    assert model.manifest["calibration"]["t1w"]["scans"] == 1
    subject = SliceCache.load(cache)
    image, brain = volume_of(subject, "s2")
    score, pseudo_healthy = score_volume(model, image, brain)
    assert score.shape == pseudo_healthy.shape == GRID_SHAPE and np.isfinite(score).all()
    assert (score[~brain] == 0).all() and (pseudo_healthy[~brain] == 0).all()
    again = score_volume(model, image, brain, settings=ScoreSettings(batch_size=3))[0]
    np.testing.assert_allclose(again, score, atol=1e-3)
    pictures, inside = export_reflect.pictures_of(subject, "flair", "calibrate")
    assert np.isfinite(score_slices(model, pictures, inside, contrast="flair")).all()

    longer = replace(settings, loop=replace(LOOP, steps=3, patience_gain=0.0))
    monkeypatch.setattr(MaskedTask, "export", lambda *_: None)  # seen above, and a calibration takes its time
    assert train(cache, store / "out", longer, resume=True).steps == 3

    lender = store / "tiny" / "manifest.json"
    sha = model.manifest["context"]["sha256"]
    lender.write_text(lender.read_text().replace(sha, "0" * 64))
    changed = ModelStore().get(str(store / "out" / settings.model_id))
    with pytest.raises(ModelUnavailable, match="has changed since"):
        load_detector(changed)


@pytest.fixture
def autoencoder(cache, store):  # noqa: F811
    """The id of an autoencoder that one step taught nothing."""
    loop = replace(LOOP, steps=1, validate_every=1)
    train_autoencoder(
        cache, store, AutoencoderSettings(model_id="tiny-ae", channels=(16,), validation_slices=2, loop=loop)
    )
    return "tiny-ae"


@pytest.mark.slow
def test_the_latent_path_trains_and_combines_pixels_with_latents(cache, store, autoencoder):  # noqa: F811
    slices = SliceCache.load(cache)
    pictures, inside = (part[:1] for part in export_reflect.pictures_of(slices, "flair", "calibrate"))
    generator = torch.Generator().manual_seed(6)
    for (kind, settings), choices in zip(
        TASKS,
        ([{"source": s, "mask_threshold": 0.0} for s in SOURCES], [{"combine": c} for c in COMBINATIONS]),
        strict=True,
    ):
        task = kind(slices, replace(settings, autoencoder=autoencoder, validation_slices=1), facts={})
        loss = task.training_loss(0, generator)
        loss.backward()
        assert torch.isfinite(loss) and task.codec.factor == 4
        for parameter in task.network.parameters():  # an untrained network changes nothing
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
        detector, found = task.detector(), []
        assert getattr(detector.correction, "grain_mm", None) is None  # white noise, as it is trained with
        for chosen in choices:
            detector.correction = replace(detector.correction, **chosen)
            found.append(detector.slice_maps(pictures, inside, "flair", ScoreSettings()).flow)
            assert np.isfinite(found[-1]).all() and found[-1].any(), chosen
        assert all(not np.allclose(a, b) for k, a in enumerate(found) for b in found[:k])


@pytest.mark.slow
def test_a_latent_model_is_written_and_scores_with_other_settings(cache, store, autoencoder):  # noqa: F811
    train_mad_ad(cache, store / "out", replace(MAD_AD, autoencoder=autoencoder, validation_slices=1))
    model = ModelStore().get(str(store / "out" / "tiny-mad"))
    assert model.manifest["codec"] == {"kind": "autoencoder", "model": autoencoder}
    assert model.manifest["correction"]["grain_mm"] is None
    pictures, inside = (part[:1] for part in export_reflect.pictures_of(SliceCache.load(cache), "flair", "calibrate"))
    byte_pictures = (pictures * 255).round().astype(np.uint8)
    own = OwnMap("own", model, "flair", "cpu", None, settings={"steps": 1})
    assert own.score_slices(byte_pictures, inside)[inside].any()
    with pytest.raises(UsageError, match="cannot run with"):
        OwnMap("own", model, "flair", "cpu", None, settings={"size": 1}).score_slices(byte_pictures, inside)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="bce, mse"):
        MadAdSettings(mask_loss="dice")
    with pytest.raises(ValueError, match="image, latent, mask"):
        MadAdCorrection(source="sound")
    with pytest.raises(ValueError, match="brain or blocks"):
        PatchSettings(eligible="head")


def test_settings_within_settings_are_set_from_the_command_line():
    settings = build_settings(
        MadAdSettings, {"patches.eligible": "blocks", "correction.source": "image-mask", "mask_loss": "mse", "steps": 5}
    )
    assert settings.patches == replace(PatchSettings(), eligible="blocks")
    assert settings.correction.source == "image-mask" and settings.mask_loss == "mse" and settings.loop.steps == 5
    assert build_settings(DecoDiffSettings, {"correction.strategy": "z_0"}).correction.strategy == "z_0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patches.eligible": "head"}, "brain or blocks"),
        ({"patches.size": 1}, "eligible, most"),
        ({"widths.first": 1}, "Settings of widths: none"),
        ({"patch.size": 1}, "This recipe has"),
        ({"correction.steps": "many"}, "is a int"),
    ],
)
def test_wrong_settings_within_settings_are_refused_with_what_there_is(change, reason):
    with pytest.raises(UsageError, match=reason):
        build_settings(MadAdSettings, change)
