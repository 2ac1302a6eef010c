"""What a healthy scan may show that is no anatomy: ghosts of motion, ringing and blur, noise. Ranges, never constants.

A network that is to leave them alone must have seen them in healthy slices, in the target as well as in the input.
Ours. A slice stands in for the scan: its lines are taken as if the phase ran along one axis of the picture.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_CYCLES, MOST_CYCLES = 1.0, 12.0  # of a periodic motion while the lines of a slice are taken


@dataclass(frozen=True)
class ArtifactSettings:
    """How often each happens, each on its own, and how strong it may be."""

    motion_share: float = 0.15
    motion_mm: float = 2.5  # largest shift of the head while lines are taken
    resolution_share: float = 0.2
    resolution: tuple[float, float] = (0.6, 1.0)  # share of the lines, along both axes, that is kept
    softest: float = 1.0  # 0: lines are cut, which rings; 1: they fade like a Hann window, which blurs
    noise_share: float = 0.3
    noise: float = 0.15  # largest standard deviation in each channel, in standardized units


def add_artifacts(signal: Tensor, pixel_mm: float, settings: ArtifactSettings, generator: torch.Generator) -> Tensor:
    """Magnitude slices (B, 1, H, W) in standardized units above the background, as worse acquisitions show them."""
    count = len(signal)
    along = (-2, -1)[int(torch.randint(2, (1,), generator=generator))]
    shifts = draw_shifts(count, signal.shape[along], settings.motion_mm / pixel_mm, generator)
    signal = torch.where(_happens(count, settings.motion_share, generator), with_motion(signal, shifts, along), signal)
    low, high = settings.resolution
    kept = low + (high - low) * torch.rand(count, generator=generator)
    soft = settings.softest * torch.rand(count, generator=generator)
    coarse = at_resolution(signal, kept, soft)
    signal = torch.where(_happens(count, settings.resolution_share, generator), coarse, signal)
    noisy = with_noise(signal, settings.noise * torch.rand(count, 1, 1, 1, generator=generator), generator)
    return torch.where(_happens(count, settings.noise_share, generator), noisy, signal)


def draw_shifts(count: int, lines: int, reach: float, generator: torch.Generator) -> Tensor:
    """(count, lines): a periodic motion of random rate and one lasting shift at a random line; `reach` at most."""
    swing, lasting, start, rate, phase = torch.rand(5, count, 1, generator=generator)
    when = torch.arange(lines) / lines
    rate = LEAST_CYCLES * (MOST_CYCLES / LEAST_CYCLES) ** rate
    return 0.5 * reach * (swing * torch.sin(2 * math.pi * (rate * when + phase)) + lasting * (when > start))


def with_motion(signal: Tensor, shifts: Tensor, along: int) -> Tensor:
    """Each line k was taken while the head was shifted by d(k) along the axis of the phase: S(k) exp(-2 pi i k d(k)).

    signal : (B, 1, H, W); along : -2 or -1; shifts : (B, lines) in pixels, lines in the order of their frequency
    """
    frequency = torch.fft.fftshift(torch.fft.fftfreq(signal.shape[along]))
    phase = torch.fft.ifftshift(-2 * math.pi * frequency * shifts, dim=-1)
    turn = torch.polar(torch.ones_like(phase), phase)[:, None].unsqueeze(-1 if along == -2 else -2)
    return torch.fft.ifft(torch.fft.fft(signal, dim=along) * turn, dim=along).abs()


def at_resolution(signal: Tensor, kept: Tensor, soft: Tensor) -> Tensor:
    """Frequencies of which the share `kept` (B,) of the band remains, cut (soft 0) or faded (soft 1), on both axes."""
    spectrum = torch.fft.fft2(signal)
    for axis in (-2, -1):
        frequency = torch.fft.fftfreq(signal.shape[axis]).abs() * 2
        inside = (frequency <= kept[:, None]).float()
        fading = 0.5 + 0.5 * torch.cos(math.pi * (frequency / kept[:, None]).clamp(max=1))
        window = inside * ((1 - soft[:, None]) + soft[:, None] * fading)
        spectrum = spectrum * window[:, None].unsqueeze(-1 if axis == -2 else -2)
    return torch.fft.ifft2(spectrum).abs()


def with_noise(signal: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Rician: the magnitude of a signal with normal noise in both channels."""
    real, imaginary = (torch.randn(signal.shape, generator=generator) * deviation for _ in range(2))
    return torch.hypot(signal + real, imaginary)


def _happens(count: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator) < share
