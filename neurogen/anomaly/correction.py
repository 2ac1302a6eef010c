"""How a method turns codes into healthy ones: the one door through which a detector runs any of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from torch import Tensor, nn

from neurogen.anomaly.reflect import RectifiedFlow
from neurogen.errors import ModelUnavailable


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a network is told beside the codes (B, C, h, w) of a batch.

    contrast : (B,) row of the contrast embedding; context : (B, K, h, w) healthy codes there; slabs : (B,) levels
    """

    contrast: Tensor
    context: Tensor
    slabs: Tensor


@dataclass(frozen=True, eq=False)
class Corrected:
    """Pseudo-healthy codes (B, C, h, w). `evidence`: a signed map of the same shape that is scored instead of the
    difference between code and corrected code, or with it, where a method has one."""

    code: Tensor
    evidence: Tensor | None = None

    def averaged(self, mirrored: "Corrected", before: Tensor, mirrored_before: Tensor) -> "Corrected":
        """The mean with what the flipped slices gave. What neither moved stays bit for bit as it was."""
        code = before + 0.5 * ((self.code - before) + (mirrored.code - mirrored_before).flip(-1))
        if self.evidence is None or mirrored.evidence is None:
            return Corrected(code)
        return Corrected(code, 0.5 * (self.evidence + mirrored.evidence.flip(-1)))


class Correction(Protocol):
    """A method. `steps`: how many it takes unless told otherwise; `combine`: see `Detector.deviation`."""

    steps: int
    combine: str

    def __call__(
        self, network: nn.Module, code: Tensor, conditions: Conditions, *, steps: int, seed: int
    ) -> Corrected: ...


@dataclass(frozen=True)
class ReflectCorrection:
    """Euler steps along the velocity of a rectified flow (eq. 5.9); nothing is drawn at random."""

    steps: int = 1  # section 5.3.3
    combine: str = "arithmetic"  # eq. 5.10

    def __call__(self, network: nn.Module, code: Tensor, conditions: Conditions, *, steps: int, seed: int) -> Corrected:
        def velocity(y: Tensor, t: Tensor) -> Tensor:
            return network(y, t, conditions.contrast, conditions.context)

        return Corrected(RectifiedFlow.correct(velocity, code, steps=steps))


def correction_of(method: str, chosen: Mapping[str, Any], *, model_id: str) -> Correction:
    """The method that a manifest names, with the manifest's settings of it.

    Raises ModelUnavailable for a method or a setting that this version does not know.
    """
    from neurogen.anomaly.deco_diff import DecoDiffCorrection
    from neurogen.anomaly.mad_ad import MadAdCorrection

    methods = {
        "reflect": ReflectCorrection,
        "reflect-2": ReflectCorrection,
        "mad-ad": MadAdCorrection,
        "deco-diff": DecoDiffCorrection,
    }
    if method not in methods:
        raise ModelUnavailable(
            f"The model {model_id!r} is no anomaly detector that this version knows (method {method!r}). Choose one of "
            "`neurogen models list`."
        )
    unknown = sorted(set(chosen) - {f.name for f in fields(methods[method])})
    if unknown:
        raise ModelUnavailable(
            f"The model {model_id!r} sets {', '.join(unknown)}, which {method} does not have here. It may need a newer "
            "NeuroGen."
        )
    return methods[method](**chosen)
