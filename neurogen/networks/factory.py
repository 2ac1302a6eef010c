"""Networks from manifests: a whitelist of our own factories, plain arguments, checked weights. Nothing is evaluated."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from neurogen.errors import ModelUnavailable
from neurogen.models import Model

if TYPE_CHECKING:
    import torch
    from torch import nn

FACTORIES = {
    "autoencoder_kl": "neurogen.networks.autoencoder",
    "velocity_unet": "neurogen.networks.velocity_unet",
    "masked_unet": "neurogen.networks.masked_unet",
    "contrastive_cnn": "neurogen.networks.contrastive_cnn",
    "brain_mask_unet": "neurogen.networks.brain_mask_unet",
    "region_unet": "neurogen.networks.region_unet",
    "coupling_flow": "neurogen.networks.coupling_flow",
    "harmonizer_unet": "neurogen.networks.harmonizer_unet",
}

# Generous bounds: far above any network of ours, far below what would exhaust a machine.
_MAX_INTEGER = 4096
_MAX_LENGTH = 32


def build(network: Mapping[str, Any]) -> "nn.Module":
    """The network that `{"factory": name, "arguments": {...}}` describes, with fresh weights.

    Raises ModelUnavailable when the factory is not one of FACTORIES, or when an argument is unknown to it, missing or
    not a plain value (number, text, truth value, null, list of those).
    """
    name, arguments = network.get("factory"), network.get("arguments")
    if not isinstance(name, str) or name not in FACTORIES:
        raise ModelUnavailable(
            f"The manifest asks for the network {name!r}, but this NeuroGen builds only "
            f"{', '.join(sorted(FACTORIES))}. The model may need a newer NeuroGen."
        )
    if not isinstance(arguments, Mapping):
        raise ModelUnavailable(f"The arguments of the network {name!r} are {arguments!r}, but a table is needed.")
    builder = importlib.import_module(FACTORIES[name]).build
    _check_arguments(name, builder, arguments)
    try:
        return builder(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(
            f"The network {name!r} cannot be built from the manifest's arguments {dict(arguments)}: {error}"
        ) from error


def load_network(model: Model, device: "torch.device | str" = "cpu") -> "nn.Module":
    """The model's network with its verified weights: float32, evaluation mode, without gradients, on `device`.

    Raises ModelUnavailable when the weights do not fit the network that the manifest describes.
    """
    network = build(model.manifest["network"])
    from neurogen.networks.small_weights import restored

    try:
        network.load_state_dict(restored(model.weights()))
    except RuntimeError as error:
        raise ModelUnavailable(
            f"The weights of the model {model.id!r} do not fit the network of its manifest "
            f"({str(error).splitlines()[-1].strip()}). Install the model again."
        ) from error
    return network.float().eval().requires_grad_(False).to(device)


def _check_arguments(name: str, builder: Callable, arguments: Mapping[str, Any]) -> None:
    parameters = inspect.signature(builder).parameters
    unknown = sorted(set(arguments) - set(parameters))
    missing = sorted(key for key, p in parameters.items() if p.default is p.empty and key not in arguments)
    if unknown or missing:
        raise ModelUnavailable(
            f"The network {name!r} takes {sorted(parameters)}; the manifest has unknown arguments {unknown} and lacks "
            f"{missing}. The model may need another version of NeuroGen."
        )
    refused = sorted(key for key, value in arguments.items() if not _is_plain(value))
    if refused:
        raise ModelUnavailable(
            f"The arguments {refused} of the network {name!r} are not plain values within "
            f"±{_MAX_INTEGER} (lists up to {_MAX_LENGTH}). The manifest is damaged or foreign."
        )


def _is_plain(value: Any) -> bool:
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _MAX_INTEGER
    return isinstance(value, list | tuple) and len(value) <= _MAX_LENGTH and all(_is_plain(item) for item in value)
