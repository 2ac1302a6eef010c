"""The Gaussian of healthy features: Welford, Mahalanobis, shrinkage, scaling, and the detector on toy features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from neurogen.anomaly.contrast_scale import T1W
from neurogen.anomaly.gaussian import PrincipalChannels, QuantileScale, VoxelGaussian, Welford, shrunk
from neurogen.anomaly.gaussian_detector import Cells, GaussianDetector, Level, stacked
from neurogen.errors import Cancelled
from neurogen.networks.contrastive_cnn import BACKBONES, build
from neurogen.preprocess.grid import GRID_SHAPE


@pytest.fixture
def features():
    """(scans, places, channels) with a large offset, where naive sums of squares would cancel."""
    rng = np.random.default_rng(3)
    mixing = rng.standard_normal((7, 4, 4))
    return torch.from_numpy(np.einsum("bvc,vcd->bvd", rng.standard_normal((24, 7, 4)), mixing) + 1e3)


def fitted(parts):
    seen = Welford.empty(7, 4)
    for part in parts:
        seen.update(part)
    return seen


@pytest.mark.parametrize("split", [[24], [1] * 24, [5, 1, 18], [12, 12]])
def test_welford_is_numpys_mean_and_covariance_in_any_split(features, split):
    seen = fitted(features.split(split))
    np.testing.assert_allclose(seen.mean, features.numpy().mean(0), rtol=1e-9)
    for place in range(7):
        expected = np.cov(features[:, place].numpy().T)
        np.testing.assert_allclose(seen.covariance()[place], expected, atol=1e-5)


def test_workers_merge_exactly(features):
    one, two = fitted(features[:9].split(2)), fitted(features[9:].split(4))
    one.merge(two)
    whole = fitted([features])
    assert one.count == whole.count == 24
    torch.testing.assert_close(one.mean, whole.mean)
    torch.testing.assert_close(one.covariance(), whole.covariance())


def test_one_scan_has_no_covariance(features):
    with pytest.raises(ValueError, match="at least 2"):
        fitted([features[:1]]).covariance()


@pytest.mark.parametrize("kind", ["full", "diagonal", "shared"])
def test_the_distance_is_scipys(features, kind):
    seen = fitted([features])
    covariance = shrunk(seen.covariance(), kind=kind, shrinkage=0.2)
    gaussian = VoxelGaussian.fit(seen, kind=kind, shrinkage=0.2)
    test = features[0] + torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    found = gaussian.distance(test.float())
    for place in range(7):
        inverse = np.linalg.inv(covariance[place].numpy())
        expected = mahalanobis(test[place].numpy(), seen.mean[place].numpy(), inverse)
        assert found[place] == pytest.approx(expected, rel=1e-3)


def test_shrinkage_gives_more_channels_than_scans_an_inverse():
    few = Welford.empty(2, 8)
    few.update(torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.linalg.matrix_rank(few.covariance()).max() == 3
    torch.linalg.cholesky(shrunk(few.covariance(), shrinkage=0.1))
    kept = shrunk(few.covariance(), shrinkage=0.3).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(kept, few.covariance().diagonal(dim1=1, dim2=2).sum(1))  # the trace stays


def test_an_unknown_covariance_is_refused(features):
    with pytest.raises(ValueError, match="full, diagonal, shared"):
        shrunk(fitted([features]).covariance(), kind="banded")


def test_half_precision_triangles_keep_the_distance(features):
    gaussian = VoxelGaussian.fit(fitted([features - 1e3]))
    stored = {name: value.half() for name, value in gaussian.tensors().items()}
    assert stored["triangle"].shape == (7, 10)
    back = VoxelGaussian.of_tensors(stored["mean"], stored["triangle"])
    test = (features[3] - 1e3).float() + 1
    torch.testing.assert_close(back.distance(test), gaussian.distance(test), rtol=0.02, atol=0.02)


def test_principal_channels_keep_what_varies():
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(500, 2, generator=generator)
    features = hidden @ torch.randn(2, 12, generator=generator) + 5
    channels = PrincipalChannels.fit(features, 2)
    reduced = channels.apply(features)
    assert reduced.shape == (500, 2) and reduced.mean(0).abs().max() < 1e-3
    standardized = (features - features.mean(0)) / features.std(0)
    kept = reduced.var(0).sum() / standardized.var(0).sum()
    assert kept > 0.999


def test_the_published_score_is_the_sigmoid_of_scaled_logs():
    distances = np.random.default_rng(0).gamma(3, 2, 10_000)
    scale = QuantileScale.fit(distances)
    logs = np.log(1 + distances)
    iqr = np.percentile(logs, 95) - np.percentile(logs, 5)
    expected = 1 / (1 + np.exp(-(logs - np.median(logs)) / iqr))
    np.testing.assert_allclose(scale.published(distances), expected, rtol=1e-6)
    assert 0.4 < np.median(scale.published(distances)) < 0.6


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_halve_their_resolution_and_stay_small(name):
    backbone = build(name=name).eval()
    with torch.no_grad():
        layers = backbone(torch.rand(1, 1, 32, 32, 48))
    assert [layer.shape[1] for layer in layers] == list(backbone.widths)
    assert [layer.shape[2] for layer in layers] == [32 // 2**k for k in range(len(layers))]
    assert max(backbone.widths) == (128 if name == "simple-3dcnn" else 256)
    assert sum(p.numel() for p in backbone.parameters()) < 4_000_000


@pytest.mark.parametrize("wrong", [{"name": "resnet"}, {"depth": 0}, {"depth": 6}])
def test_unknown_backbones_are_refused(wrong):
    with pytest.raises(ValueError, match="Choose from"):
        build(**wrong)


def test_layers_are_brought_to_the_target():
    layers = [torch.full((1, 2**k, 8 // 2**k, 8 // 2**k, 8 // 2**k), float(k)) for k in range(3)]
    together = stacked(layers, (0, 1, 2), 1)
    assert together.shape == (1, 7, 4, 4, 4)
    np.testing.assert_allclose(together[0, :, 0, 0, 0], [0, 1, 1, 2, 2, 2, 2])


class Intensity(torch.nn.Module):
    """A backbone whose only feature is the picture itself, at 8 mm."""

    def forward(self, volume):
        return [torch.nn.functional.avg_pool3d(volume, 4)]


def toy_detector(shift=0):
    places = torch.ones(20, 24, 20, dtype=torch.bool)
    gaussian = VoxelGaussian(torch.full((9600, 1), 0.5), torch.full((9600, 1, 1), 0.05))
    channels = PrincipalChannels(torch.zeros(1), torch.ones(1, 1))
    level = Level((0,), 0, places, channels, gaussian, QuantileScale(np.log(2), 1.0))
    expected = np.full((80, 96, 80), T1W.standardize(np.full((1, 1, 1), 0.5), np.ones((1, 1, 1), bool))[0, 0, 0])
    return GaussianDetector(Intensity(), [level], expected, T1W, shift=shift)


def toy_scan():
    image = np.full(GRID_SHAPE, 0.5, np.float32)
    image[40:64, 48:72, 40:64] = 0.9
    image[100:124, 48:72, 40:64] = 0.1
    return Cells.of(image, np.ones(GRID_SHAPE, bool))


def test_the_score_has_the_sign_of_the_difference_and_is_quiet_elsewhere():
    cells = toy_scan()
    score = toy_detector().score(cells)
    bright, dark = cells.image > 0.85, cells.image < 0.15
    assert bright.any() and dark.any()
    assert (score[bright] > 0).all() and (score[dark] < 0).all()
    assert np.abs(score[np.abs(cells.image - 0.5) < 0.01]).min() == 0
    assert np.median(np.abs(score)) == 0


def test_one_place_scores_as_the_formula():
    cells = toy_scan()
    strange = toy_detector().strangeness(cells)
    peak = strange[cells.image > 0.85].max()
    assert peak == pytest.approx(np.log(1 + 0.4 / 0.05) - np.log(2), rel=0.02)


def test_tolerance_to_shifts_only_lowers_distances():
    cells, rng = toy_scan(), np.random.default_rng(0)
    detector = toy_detector()
    mean = 0.5 + 0.1 * torch.from_numpy(rng.standard_normal((9600, 1))).float()
    level = detector.levels[0]
    uneven = replace(level, gaussian=VoxelGaussian(mean, level.gaussian.factor))
    layers = Intensity()(cells.tensor())
    strict, tolerant = (uneven.distances(layers, shift=s) for s in (0, 1))
    assert (tolerant <= strict).all() and (tolerant < strict).any()
    inner = (5 * 24 + 6) * 20 + 7  # of the grid's places, in order
    around = [inner + (a * 24 + b) * 20 + c for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    value = layers[0][0, 0, 5, 6, 7]
    assert tolerant[inner] == pytest.approx(float(((value - mean[around, 0]).abs() / 0.05).min()), rel=1e-4)


def test_a_run_can_be_cancelled_before_and_between_its_stages():
    seen = []

    def cancel(stage, fraction):
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        toy_detector().score(toy_scan(), cancel)
    assert seen[0] == 0.0
