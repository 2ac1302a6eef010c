"""SimCLR: the loss against its formula, the memory bank, the slow copy, the views, and the recipe in miniature."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import phantom

from neurogen.anomaly.gaussian_detector import Cells
from neurogen.anomaly.score import score_volume
from neurogen.errors import InputRefused, UsageError
from neurogen.models import ModelStore
from neurogen.networks.contrastive_cnn import Backbone, build, follow
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.training.cache import SliceCache, to_uint8, write_index, write_scan
from neurogen.training.contrastive import ContrastiveLearner, MemoryBank, nt_xent
from neurogen.training.fit_gaussian import GaussianSettings
from neurogen.training.healthy_context import volume_of
from neurogen.training.loop import LoopSettings
from neurogen.training.recipe_gaussian import GaussianFitSettings
from neurogen.training.recipe_gaussian import run as fit_only
from neurogen.training.recipe_simclr import SimclrSettings, run


def unit(n, seed):
    vectors = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=1)


def test_nt_xent_is_the_formula_written_out():
    queries, keys, bank = unit(3, 0), unit(3, 1), unit(6, 2)
    subjects, owners = torch.tensor([4, 7, 9]), torch.tensor([7, 1, 2, 9, -1, 7])
    total = 0.0
    for i in range(3):
        negatives = [keys[j] for j in range(3) if j != i]
        negatives += [bank[j] for j in range(6) if owners[j] not in (-1, subjects[i])]
        up = np.exp(float(queries[i] @ keys[i]) / 0.1)
        total -= np.log(up / (up + sum(np.exp(float(queries[i] @ n) / 0.1) for n in negatives)))
    found = nt_xent(queries, keys, subjects, bank, owners, temperature=0.1)
    assert float(found) == pytest.approx(total / 3, rel=1e-5)


def test_equal_views_and_opposite_others_cost_nothing():
    axis = torch.eye(5)[:1]
    loss = nt_xent(axis, axis, torch.tensor([0]), -axis, torch.tensor([1]), temperature=0.05)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_the_bank_forgets_the_oldest():
    bank = MemoryBank(4, 5)
    assert (bank.subjects == -1).all()
    for first in (0, 2, 4):
        bank.add(unit(2, first), torch.tensor([first, first + 1]))
    assert sorted(bank.subjects.tolist()) == [2, 3, 4, 5]
    torch.testing.assert_close(bank.keys[bank.subjects == 4][0], unit(2, 4)[0])


def test_the_slow_copy_follows():
    slow, fast = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.99 * slow.weight.detach() + 0.01 * fast.weight.detach()
    follow(slow, fast, 0.99)
    torch.testing.assert_close(slow.weight.detach(), expected)


def small_learner():
    torch.manual_seed(0)
    blocks = [torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, stride=2, padding=1), torch.nn.GELU())]
    return ContrastiveLearner(Backbone(blocks, (4,)), dimensions=8, bank=8)


def test_a_step_fills_the_bank_and_moves_only_the_fast_network():
    learner = small_learner()
    volumes = torch.rand(3, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    loss = learner.loss(volumes.flip(2), volumes, torch.tensor([5, 6, 7]), temperature=0.1)
    loss.backward()
    assert learner.bank.subjects[:3].tolist() == [5, 6, 7]
    torch.testing.assert_close(learner.bank.keys[:3].norm(dim=1), torch.ones(3))
    assert all(p.grad is None for p in learner.slow.parameters())
    assert any(p.grad.abs().sum() > 0 for p in learner.backbone.parameters())
    assert {"bank.keys", "bank.subjects", "bank.place"} <= set(learner.state_dict())  # checkpoints keep them


def test_learning_tells_volumes_apart():
    learner = small_learner()
    learner.momentum = 0.5  # forty steps are too few for 0.99
    volumes = torch.rand(6, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    volumes *= torch.linspace(0.2, 1.5, 6).view(6, 1, 1, 1, 1)
    optimizer = torch.optim.AdamW(learner.backbone.parameters(), lr=1e-2)
    optimizer.add_param_group({"params": learner.head.parameters()})
    losses = []
    for _ in range(40):
        loss = learner.loss(volumes.flip(3), volumes, torch.arange(6), temperature=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


@pytest.mark.parametrize("wrong", [{"backbone": "resnet"}, {"temperature": 0.0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        SimclrSettings(**wrong)


def test_cells_are_means_over_the_brain_alone():
    image, brain = np.zeros(GRID_SHAPE, np.float32), np.zeros(GRID_SHAPE, bool)
    brain[50:52, 60:62, 70:72] = True
    brain[50, 60, 70] = False
    image[brain] = 0.7
    cells = Cells.of(image, brain)
    assert cells.brain.sum() == 1 and cells.image.shape == (80, 96, 80)
    assert cells.image[cells.brain][0] == pytest.approx(0.7)


def test_views_are_drawn_by_the_generator_alone():
    pytest.importorskip("torchio", reason="needs TorchIO: pip install 'neurogen[training]'")
    from neurogen.training.torchio_views import AlteredViews

    views = AlteredViews((16, 24, 16))
    volume = torch.rand(1, 16, 24, 16, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    one, two, other = (views(volume, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == volume.shape and torch.equal(one, two) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 1


def test_the_fast_transforms_give_the_pictures_of_torchio():
    tio = pytest.importorskip("torchio", reason="needs TorchIO: pip install 'neurogen[training]'")
    from torchio.transforms.augmentation.intensity.random_bias_field import BiasField
    from torchio.transforms.augmentation.spatial.random_elastic_deformation import ElasticDeformation

    from neurogen.training.torchio_views import bias_field, deformed

    torch.manual_seed(0)
    volume = torch.nn.functional.interpolate(torch.rand(1, 1, 6, 8, 7), (24, 32, 28), mode="trilinear")[0]
    image = tio.ScalarImage(tensor=volume, affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    points = tio.RandomElasticDeformation().get_params((7, 7, 7), (6.0, 6.0, 6.0), 2)
    expected = ElasticDeformation(points, (6.0, 6.0, 6.0))(image).data
    found = deformed(volume, torch.from_numpy(points).float())
    inner = np.s_[:, 4:-4, 4:-4, 4:-4]  # at the border ITK repeats half a voxel of the volume
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-4, rtol=0)
    assert (found - volume)[inner].abs().max() > 0.05

    coefficients = tio.RandomBiasField().get_params(3, (-0.5, 0.5))
    expected = BiasField.generate_bias_field(volume, 3, coefficients)
    np.testing.assert_allclose(bias_field(volume.shape[1:], 3, coefficients), expected, rtol=1e-4)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    rng, rows = np.random.default_rng(0), []
    for k, split in enumerate(["train", "train", "train", "calibrate"]):
        image, brain = phantom(GRID_SHAPE, GRID_AFFINE, noise=0.03, rng=rng)
        write_scan(folder, f"s{k}", to_uint8(np.clip(image.array, 0, 1), brain.array), GRID_AFFINE)
        rows.append({"id": f"s{k}", "source": "phantom", "split": split, "contrast": "t1w"})
    write_index(folder, "t1", rows)
    return folder


@pytest.mark.slow
def test_train_export_score_and_fit_again(cache, tmp_path, monkeypatch):
    pytest.importorskip("torchio", reason="needs TorchIO: pip install 'neurogen[training]'")
    monkeypatch.setenv("NEUROGEN_MODELS", str(tmp_path))
    loop = LoopSettings(steps=1, batch_size=2, warmup_steps=1, validate_every=1, device="cpu", threads=1)
    gaussian = GaussianSettings(channels=4, fine_channels=2)
    settings = SimclrSettings(model_id="tiny", backbone="simple-3dcnn", bank=8, validation_scans=2, loop=loop)
    result = run(cache, tmp_path, replace(settings, gaussian=replace(gaussian, sources=(0, 1, 2))))
    assert result.steps == 1 and 0 <= result.best_score <= 1
    model = ModelStore().get("tiny")
    assert model.manifest["network"]["arguments"]["depth"] == 3
    assert model.manifest["calibration"]["t1w"]["scans"] == 1
    image, brain = volume_of(SliceCache.load(cache), "s3")
    score, pseudo_healthy = score_volume(model, image, brain)
    assert score.shape == GRID_SHAPE and np.isfinite(score).all() and (score[~brain] == 0).all()
    np.testing.assert_array_equal(pseudo_healthy, image * brain)

    again = fit_only(
        cache,
        tmp_path / "second",
        GaussianFitSettings(model_id="again", backbone="tiny", gaussian=replace(gaussian, sources=(0, 1, 2))),
    )
    assert again.steps == 3
    other = ModelStore().get(str(tmp_path / "second" / "again"))
    np.testing.assert_allclose(score_volume(other, image, brain)[0], score, atol=0.05)


def test_one_scan_cannot_be_told_apart(cache, tmp_path, monkeypatch):
    pytest.importorskip("torchio", reason="needs TorchIO: pip install 'neurogen[training]'")
    from neurogen.training import recipe_simclr

    class One:
        training = [None]

        @classmethod
        def of(cls, cache):
            return cls()

    monkeypatch.setattr(recipe_simclr, "HealthyVolumes", One)
    with pytest.raises(InputRefused, match="fewer than two"):
        recipe_simclr.SimclrTask(None, SimclrSettings(), facts={})
    assert build(depth=1).widths == (16,)
