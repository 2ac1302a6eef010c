"""The autoencoder: shapes, the latent scale, the loss written out, and a tiny training from cache to model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from neurogen.models import ModelStore
from neurogen.networks.autoencoder import LatentCodec, block_cosines, build
from neurogen.networks.factory import load_network
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import add_pictures
from neurogen.training.loop import LoopSettings
from neurogen.training.recipe_autoencoder import (
    AutoencoderSettings,
    AutoencoderTask,
    compare,
    contrast_weights,
    flip_some,
    run,
    unit_slice,
    vary_intensity,
)

TINY = AutoencoderSettings(
    channels=(8,),
    validation_slices=2,
    loop=LoopSettings(
        steps=12, batch_size=2, learning_rate=5e-3, validate_every=6, device="cpu", ema_decay=0.5, patience_gain=0
    ),
)
FACTS = {"training_data": [{"name": "discs", "terms": "CC0", "scans": 4}], "licence": "CC0", "age_range": [20, 30]}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discs(n: int, seed: int = 0) -> np.ndarray:
    """(n, 192, 160) uint8 discs of random brightness with smooth texture, 0 outside."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:192, :160]
    disc = (y - 96) ** 2 / 80**2 + (x - 80) ** 2 / 65**2 < 1
    waves = [np.sin(y / rng.uniform(4, 20) + rng.uniform(0, 6)) for _ in range(n)]
    return np.stack([np.where(disc, 130 + 80 * w, 0) for w in waves]).astype(np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    add_pictures(folder, "a", discs(4), level=80, contrast="t1w", split=["train", "train", "train", "calibrate"])
    add_pictures(folder, "b", discs(3, 1), level=87, contrast="flair", split=["train", "train", "calibrate"])
    (folder / "facts.json").write_text(json.dumps(FACTS))
    return folder


@pytest.fixture
def task(folder) -> AutoencoderTask:
    return AutoencoderTask(SliceCache.load(folder), TINY, facts=FACTS)


@pytest.mark.parametrize(("channels", "patch", "factor"), [((8, 8), 2, 4), ((8, 8, 8), 1, 4), ((8, 8, 8), 2, 8)])
def test_latents_are_smaller_by_the_factor(channels, patch, factor):
    network = build(channels=channels, patch=patch, latent_channels=3)
    mean, deviation = network.encode(torch.rand(2, 1, 192, 160))
    assert network.factor == factor
    assert mean.shape == deviation.shape == (2, 3, 192 // factor, 160 // factor)
    assert (deviation > 0).all()
    assert network.decode(mean).shape == (2, 1, 192, 160)


def test_default_network_is_small_and_f4():
    network = build(**AutoencoderSettings().network()["arguments"])
    assert sum(p.numel() for p in network.parameters()) <= 3_000_000
    assert network.factor == 4


def test_fresh_network_is_a_block_transform():
    network = build(channels=(8,), latent_channels=4).eval()
    images = torch.rand(1, 1, 16, 8, generator=generator())
    with torch.no_grad():
        mean, _ = network.encode(images)
        copy = network.decode(mean)
    block = images[0, 0, 4:8, :4].double().numpy()
    coefficients = dctn(block, norm="ortho")
    assert_close(mean[0, :, 1, 0].double(), torch.tensor([coefficients[w] for w in ((0, 0), (0, 1), (1, 0), (1, 1))]))
    kept = np.where(np.add.outer([0, 0, 2, 2], [0, 0, 2, 2]) > 0, 0, coefficients)
    np.testing.assert_allclose(copy[0, 0, 4:8, :4], idctn(kept, norm="ortho"), atol=1e-5)


def test_block_cosines_are_orthonormal():
    basis = block_cosines(4, 16)
    assert_close(basis @ basis.T, torch.eye(16), atol=1e-6, rtol=0)


def test_codec_scales_latents_and_undoes_it():
    torch.manual_seed(1)
    network = build(channels=(8, 8), patch=2).eval()
    images = torch.rand(3, 1, 64, 48, generator=generator())
    codec = LatentCodec(network, mean=[1.0, -2.0, 0.5, 0.0], deviation=[2.0, 0.5, 1.0, 3.0])
    with torch.no_grad():
        expected = network.encode(images)[0]
        copy = network.decode(expected)
    latents = codec.encode(images)
    assert_close(latents[:, 1], (expected[:, 1] + 2) / 0.5)
    assert_close(codec.decode(latents), copy, atol=1e-5, rtol=1e-5)
    one_by_one = torch.cat([codec.decode(codec.encode(image[None])) for image in images])
    assert_close(one_by_one, codec.decode(codec.encode(images, batch_size=2)), atol=1e-5, rtol=1e-5)


def test_latent_scale_makes_brain_cells_standard(task):
    task.network.eval()
    mean, deviation = task._latent_scale()
    images = task._images(task._train)
    latents = LatentCodec(task.network, mean=mean, deviation=deviation).encode(images)
    brain = torch.nn.functional.avg_pool2d((images > 0).float(), 4)[:, 0] > 0.5
    cells = latents.movedim(1, -1)[brain]
    assert_close(cells.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    assert_close(cells.std(0), torch.ones(4), atol=1e-3, rtol=0)


def test_loss_is_the_written_formula(task):
    images, output = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.5, 0.2], [0.1, 0.0]]]])
    images[0, 0, 0, 0] = 0.9  # one brain pixel, three of background with weight 0.1
    mean, deviation = torch.tensor([[[[0.3]]]]), torch.tensor([[[[0.7]]]])
    pixel = (1.0 * 0.4 + 0.1 * 0.2 + 0.1 * 0.1) / 1.3
    # errors: -0.4 0.2 / 0.1 0.0; differences weighted at their lower or right pixel
    gradient = 0.1 * (0.5 + 0.2 + 0.6 + 0.1) / (2 * 1.3)
    kl = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).mean()
    assert_close(task._loss(output, images, mean, deviation), pixel + gradient + 1e-4 * kl)


def test_psnr_and_ssim_know_their_answers():
    truth = torch.zeros(2, 1, 64, 64)
    truth[:, :, 16:48, 16:48] = 0.5 + 0.2 * torch.rand((2, 1, 32, 32), generator=generator())
    shifted = torch.where(truth > 0, truth + 0.1, 7.0)  # what lies outside the brain does not count
    psnr, ssim = compare(shifted, truth)
    assert psnr == pytest.approx(20.0, abs=1e-4) and ssim < 1
    assert compare(truth + 1e-6, truth)[1] == pytest.approx(1.0, abs=1e-4)


def test_varied_intensities_keep_the_brain_and_follow_the_generator():
    images = torch.from_numpy(discs(8)).unsqueeze(1).float() / 255
    varied = vary_intensity(images, generator(3))
    assert torch.equal(varied > 0, images > 0)
    assert torch.equal(varied, vary_intensity(images, generator(3)))
    assert not torch.equal(varied, vary_intensity(images, generator(4)))
    inside = images > 0
    assert 0.05 < (varied - images)[inside].abs().mean() < 0.3


def test_flips_are_whole_and_about_half():
    images = torch.rand(200, 1, 4, 6, generator=generator())
    flipped = flip_some(images, generator(1))
    is_mirror = (flipped == images.flip(-1)).flatten(1).all(1)
    assert ((flipped == images).flatten(1).all(1) ^ is_mirror).all()
    assert 70 < is_mirror.sum() < 130


def test_slices_come_in_the_units_of_their_contrast():
    picture = discs(1)[0]
    inside, raw = picture > 0, picture[picture > 0].astype(np.float64)
    np.testing.assert_allclose(unit_slice(picture, "t1w"), picture / 255, atol=1e-5)
    np.testing.assert_allclose(unit_slice(picture, "t2w"), picture / 255, atol=1e-6)
    low, middle, high = np.percentile(raw, [25, 50, 75])
    relative = ((raw - middle) / (high - low)).clip(-3.5, 5)
    flair = unit_slice(picture, "flair")
    np.testing.assert_allclose(flair[inside], (relative + 3.5) / 8.5, atol=1e-4)
    assert (flair[~inside] == 0).all() and (flair[inside] > 0).all()


def test_contrasts_share_batches_as_square_roots():
    weights = contrast_weights(np.array(["t1w"] * 900 + ["flair"] * 100))
    assert float(weights[:900].sum() / weights[900:].sum()) == pytest.approx(3.0)


def test_training_writes_a_model_that_loads_and_improves(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path / "out"))
    result = run(folder, tmp_path / "out", TINY)
    assert result.best_score > result.history[0]["score"]
    model = ModelStore().get("my-autoencoder")
    manifest = model.manifest
    assert manifest["contrasts"] == ["flair", "t1w"] and manifest["licence"] == "CC0"
    assert manifest["training"]["seed"] == 0 and manifest["training"]["recipe"]["kl_weight"] == 1e-4
    assert {"psnr_t1w", "ssim_flair"} <= set(manifest["measured"][1])
    assert load_network(model).factor == 4
    images = torch.from_numpy(discs(2, 5)).unsqueeze(1).float() / 255
    codec = LatentCodec.of(model)
    assert codec.decode(codec.encode(images)).shape == images.shape
    longer = replace(TINY, loop=replace(TINY.loop, steps=14))
    assert run(folder, tmp_path / "out", longer, resume=True).steps == 14
