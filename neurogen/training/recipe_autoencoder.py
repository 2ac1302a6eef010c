"""Recipe: the autoencoder that REFLECT works in, for slices of every contrast in a cache.

Loss = L1 inside the brain + L1 of the image gradients + a little KL, on lightly changed intensities. No lesion takes
part; smooth random spots teach it to carry what it has not seen. Validation: PSNR inside the brain of subjects kept
apart, mean over contrasts.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from neurogen.anomaly.contrast_scale import FLAIR, T1W, ContrastScale
from neurogen.models import write_model
from neurogen.networks.autoencoder import LatentCodec, build
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.loop import FitResult, LoopSettings, fit

SCALES: dict[str, ContrastScale] = {"t1w": T1W, "flair": FLAIR}
"""What detectors of these contrasts hand to the autoencoder; others come as prepared, 98th percentile = 1."""


@dataclass(frozen=True)
class AutoencoderSettings:
    """What is trained, and how the loss is weighed."""

    model_id: str = "my-autoencoder"
    channels: tuple[int, ...] = (96,)
    patch: int = 4  # f4; 8 gives f8
    latent_channels: int = 4
    residual_blocks: int = 1
    norm_groups: int = 8
    gradient_weight: float = 1.0
    background_weight: float = 0.1  # of a pixel outside the brain, which is masked afterwards anyway
    kl_weight: float = 1e-4  # of the KL per latent value; keeps latents bounded and the posterior a little wide
    validation_slices: int = 48  # per contrast
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=4000,
            batch_size=8,
            learning_rate=1e-3,
            validate_every=250,
            ema_decay=0.995,
            patience_gain=0.003,  # of about 33 dB
        )
    )

    def recipe(self) -> dict:
        """All settings but those of the loop, for the manifest."""
        return {name: value for name, value in asdict(self).items() if name != "loop"}

    def network(self) -> dict:
        """The network as a manifest describes it."""
        names = ("channels", "patch", "latent_channels", "residual_blocks", "norm_groups")
        values = {name: getattr(self, name) for name in names}
        return {"factory": "autoencoder_kl", "arguments": values | {"channels": list(self.channels)}}


def run(
    data: Path, out: Path, settings: AutoencoderSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train an autoencoder on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = AutoencoderTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class AutoencoderTask:
    """Batches, loss, validation and export of the autoencoder; see `neurogen.training.loop.Task`."""

    def __init__(self, cache: SliceCache, settings: AutoencoderSettings, *, facts: dict):
        self.cache, self.settings, self.facts = cache, settings, facts
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.loop.seed)
            self.network = build(**settings.network()["arguments"])
        self._train = cache.where(split="train")
        self._weights = contrast_weights(cache.contrast[self._train])
        self._validation = self._slices_of("calibrate")

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.multinomial(self._weights, self.settings.loop.batch_size, True, generator=generator)
        images = self._images(self._train[chosen.numpy()])
        images = vary_intensity(flip_some(images, generator), generator)
        images = images.to(next(self.network.parameters()).device)
        mean, deviation = self.network.encode(images)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        output = self.network.decode(mean + deviation * noise)
        return self._loss(output.float(), images, mean.float(), deviation.float())

    def validate(self) -> dict[str, float]:
        measures = self._measure(self._validation)
        return {"score": float(np.mean([v for k, v in measures.items() if k.startswith("psnr")])), **measures}

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        self.network.load_state_dict(network_state)
        self.network.eval()
        mean, deviation = self._latent_scale()
        manifest = {
            "id": self.settings.model_id,
            "version": "1.0.0",
            "task": "autoencoder",
            "method": "KL autoencoder (Rombach et al. 2022, arXiv:2112.10752) of folded axial slices",
            "contrasts": sorted(self._validation),
            "spacing_mm": 1.0,
            "network": self.settings.network(),
            "latent_scale": {"mean": mean, "deviation": deviation},
            "training": {**record, "recipe": self.settings.recipe()},
            "calibration": {},
            "measured": self._measured(record),
            "seconds": self._seconds_a_slice(),
            **self.facts,
        }
        write_model(Path(out) / self.settings.model_id, manifest, network_state)

    def _slices_of(self, split: str) -> dict[str, np.ndarray]:
        """Indices of evenly spread slices of the subjects of a split, for each contrast that is trained and in it."""
        contrasts = [str(name) for name in np.unique(self.cache.contrast[self._train])]
        found = {name: self.cache.where(split=split, contrast=name) for name in contrasts}
        return {name: _spread(k, self.settings.validation_slices) for name, k in found.items() if len(k)}

    def _measure(self, slices: dict[str, np.ndarray]) -> dict[str, float]:
        measures: dict[str, float] = {}
        for contrast, chosen in slices.items():
            truth = self._images(chosen)
            psnr, ssim = compare(self._reconstruct(truth), truth)
            measures |= {f"psnr_{contrast}": psnr, f"ssim_{contrast}": ssim}
        return measures

    def _measured(self, record: dict) -> list[dict]:
        """Rows of a manifest: before and after on the subjects that chose the best step, then on the test subjects."""
        best = record["best_step"]
        of_step = {row["step"]: row for row in record["history"]}
        rows = [(f"kept-apart subjects, step {step}", of_step[step]) for step in (0, best)]
        rows.append((f"test subjects, which chose nothing, step {best}", self._measure(self._slices_of("test"))))
        return [
            {"protocol": f"reconstruction inside the brain (dB, SSIM), {name}"}
            | {k: round(v, 4) for k, v in values.items() if k.startswith(("psnr", "ssim"))}
            for name, values in rows
        ]

    def _images(self, chosen: np.ndarray) -> Tensor:
        """(B, 1, 192, 160) float in [0, 1] of the slices at these indices of the cache."""
        pairs = [(self.cache.images[k], str(self.cache.contrast[k])) for k in chosen]
        return torch.from_numpy(np.stack([unit_slice(*pair) for pair in pairs])).unsqueeze(1)

    def _loss(self, output: Tensor, images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        """Weighted L1 + gradient L1 + KL(N(mean, deviation^2) || N(0, 1)) per latent value."""
        weight = (images > 0).float() * (1 - self.settings.background_weight) + self.settings.background_weight
        error = output - images
        pixel = (weight * error.abs()).sum() / weight.sum()
        down, right = error.diff(dim=2).abs() * weight[:, :, 1:], error.diff(dim=3).abs() * weight[:, :, :, 1:]
        gradient = (down.sum() + right.sum()) / (2 * weight.sum())
        kl = 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).mean()
        return pixel + self.settings.gradient_weight * gradient + self.settings.kl_weight * kl

    def _codec(self, mean: list[float] | None = None, deviation: list[float] | None = None) -> LatentCodec:
        c = self.settings.latent_channels
        return LatentCodec(self.network, mean=mean or [0.0] * c, deviation=deviation or [1.0] * c)

    def _reconstruct(self, images: Tensor) -> Tensor:
        codec = self._codec()
        return codec.decode(codec.encode(images.to(next(self.network.parameters()).device))).cpu()

    def _latent_scale(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation (C,) of the posterior means over the brain cells of 512 training slices."""
        images = self._images(_spread(self._train, 512))
        latents = self._codec().encode(images.to(next(self.network.parameters()).device)).cpu()
        brain = functional.adaptive_avg_pool2d((images > 0).float(), latents.shape[-2:])[:, 0] > 0.5
        cells = latents.movedim(1, -1)[brain]
        return [[round(float(v), 6) for v in values] for values in (cells.mean(0), cells.std(0))]

    def _seconds_a_slice(self) -> dict[str, float]:
        """Seconds of one slice in a batch of 8, encoding and decoding: the best of ten, on the device trained on."""
        codec, device = self._codec(), next(self.network.parameters()).device
        images = self._images(_spread(self._train, 8)).to(device)
        latents = codec.encode(images)
        where = f"{device.type}, {torch.get_num_threads()} thread(s)"
        jobs = {"encode": lambda: codec.encode(images), "decode": lambda: codec.decode(latents)}
        return {f"{name} a slice ({where})": round(_best_seconds(job) / len(images), 4) for name, job in jobs.items()}


def unit_slice(picture: np.ndarray, contrast: str) -> np.ndarray:
    """(192, 160) uint8 of the cache -> float32 in [0, 1], in the units of the contrast; 0 outside the brain only."""
    brain, image = picture > 0, picture.astype(np.float32) / 255
    if contrast in SCALES:
        scale = SCALES[contrast]
        image = scale.to_unit(scale.standardize(image[None], brain[None])[0])
    return np.where(brain, np.maximum(image, 1 / 255), 0).astype(np.float32)


def contrast_weights(contrast: np.ndarray) -> Tensor:
    """Weight (N,) to draw each slice with: contrasts share a batch as the square roots of their numbers of slices."""
    names, which, counts = np.unique(contrast, return_inverse=True, return_counts=True)
    return torch.from_numpy(1 / np.sqrt(counts))[torch.from_numpy(which)]


def flip_some(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror left and right with probability 1/2 each."""
    mirrored = torch.rand((len(images), 1, 1, 1), generator=generator) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def vary_intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gain, gamma, a smooth bias field, and in half of the images smooth spots; only where images > 0.

    gain ~ U(0.75, 1.25), gamma ~ exp U(-0.3, 0.3), log bias ~ N(0, 0.1) on a 6 x 5 grid, spots: those of N(0, 1) on a
    24 x 20 grid beyond 1.5, times U(-0.4, 0.4). Images (B, 1, H, W); the result may exceed 1.
    """
    n, size = len(images), images.shape[-2:]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((n, 1, 1, 1), generator=generator)

    def smooth(rows: int, columns: int, cut: float) -> Tensor:
        field = functional.softshrink(torch.randn((n, 1, rows, columns), generator=generator), cut)
        return functional.interpolate(field, size, mode="bilinear", align_corners=False)

    varied = images ** uniform(-0.3, 0.3).exp() * uniform(0.75, 1.25) * (0.1 * smooth(6, 5, 0.0)).exp()
    spots = smooth(24, 20, 1.5) * uniform(-0.4, 0.4) * (uniform(0, 1) < 0.5)
    return ((varied + spots).clamp_min(1 / 255)) * (images > 0)


def compare(output: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean PSNR (dB, peak 1.0) and SSIM (11 x 11 Gaussian window) inside the brain (truth > 0) over (B, 1, H, W)."""
    from monai.metrics.regression import compute_ssim_and_cs

    brain = truth > 0
    output = output * brain
    count = brain.flatten(1).sum(1)
    mse = (output - truth).square().flatten(1).sum(1) / count
    similarity, _ = compute_ssim_and_cs(output, truth, spatial_dims=2, kernel_size=(11, 11), kernel_sigma=(1.5, 1.5))
    inner = brain[:, :, 5:-5, 5:-5]
    ssim = (similarity * inner).flatten(1).sum(1) / inner.flatten(1).sum(1).clamp_min(1)
    return float((-10 * mse.log10()).mean()), float(ssim.mean())


def _spread(chosen: np.ndarray, n: int) -> np.ndarray:
    """At most n of the indices, evenly spread over them."""
    return chosen[np.unique(np.linspace(0, len(chosen) - 1, min(n, len(chosen))).round().astype(int))]


def _best_seconds(job: Callable[[], Tensor], repeats: int = 10) -> float:
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        job().sum().item()  # waits for the device
        durations.append(time.perf_counter() - start)
    return min(durations)
