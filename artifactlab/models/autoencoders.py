"""Autoencoders of diffusers as models of images: encoded and decoded again, or decoded alone where latents come in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import ModelError, first_line, shown
from artifactlab.models.arguments import signature_text, takes_by_name
from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.model_folders import say

IMAGES, LATENTS = "images", "latents"
INPUTS = (IMAGES, LATENTS)
"""What can be said to come in."""
LATENT_CHANNELS = ("latent_channels", "z_dim", "decoder_input_channels")
"""What configurations call the number of channels between encoder and decoder."""
CODES = ("latent_dist", "latents", "latent")
"""Where outputs of encoders have the latents, or their distribution."""
FACTORS = ("spatial_compression_ratio", "scale_factor_spatial")
FRAME_FACTORS = ("temporal_compression_ratio", "scale_factor_temporal")
"""What autoencoders and their configurations call the factor between sizes of input and latents."""
LEVELS = ("block_out_channels", "encoder_block_out_channels", "dim_mult")
"""Where configurations list a width per level; from each to the next sizes are halved."""
DECODE_TIME = 0.05
"""Noise that decoders with a time step are told by default, as their pipelines do."""


def is_autoencoder(model: nn.Module) -> bool:
    """Whether a model has both halves, and calls for each."""
    return all(callable(getattr(model, name, None)) for name in ("encode", "decode", "encoder", "decoder"))


class Autoencoder(nn.Module):
    """What an autoencoder is made an instance of, beside its own class: what it holds keeps its names.

    Pixels are 0 to 1 outside, and -1 to 1 in the model; waveforms are as they are.
    """

    encode: Any
    decode: Any
    """The calls of its own class, which comes after this one."""
    input_kind: str | None
    """Whether images or latents come in; None where the channels tell."""

    def forward(self, x: Tensor, **given: Any) -> Tensor:
        """Images, videos or waveforms (N, C, *space) of such, or of latents; `given` are other arguments of decode.

        Raises:
            ModelError: if sizes are no multiple of what the encoder makes one place, or decode takes no such argument.
        """
        _refuse_unknown(self, given)
        frame = space_axes(self) == 3 and x.ndim == 4
        x = x.unsqueeze(2) if frame else x
        latents = x if self._is_latent(x) else self._encoded(x)
        decoded = _tensor(self.decode(latents, **{**self._decode_arguments(latents), **given}))
        decoded = decoded.squeeze(2) if frame and decoded.shape[2] == 1 else decoded
        return (decoded + 1) / 2 if space_axes(self) > 1 else decoded

    def _is_latent(self, x: Tensor) -> bool:
        if self.input_kind is not None:
            return self.input_kind == LATENTS
        return bool(x.shape[1] == latent_channels(self))

    def _encoded(self, x: Tensor) -> Tensor:
        """The likeliest latents of what comes in, the same each time."""
        _refuse_size(self, tuple(x.shape))
        try:
            return _tensor(self.encode(2 * x - 1 if space_axes(self) > 1 else x))
        except (RuntimeError, ValueError, IndexError) as error:
            factor = _first(self, FRAME_FACTORS)
            frames = f"; it may take 1 + a multiple of {factor} frames: --size TxHxW" if factor and x.ndim == 5 else ""
            shape, reason = tuple(x.shape), first_line(error)
            raise ModelError(f"{type(self).__name__} cannot encode {shape}: {reason}{frames}") from error

    def _decode_arguments(self, latents: Tensor) -> dict[str, Any]:
        """What decoders take beside latents: the batch is the frames of one video, and time steps are at their end."""
        taken = inspect.signature(self.decode).parameters
        timed = "temb" in taken and _setting(self, "timestep_conditioning")
        frames = {"num_frames": latents.shape[0]} if "num_frames" in taken else {}
        return frames | ({"temb": torch.full(latents.shape[:1], DECODE_TIME, device=latents.device)} if timed else {})


def opened_autoencoder(model: nn.Module, kind: object) -> nn.Module:
    """An autoencoder whose forward takes images or latents; the model itself, made an instance of `Autoencoder`.

    Args:
        model: an autoencoder.
        kind: of `INPUTS`; None where the number of channels tells.

    Raises:
        ModelError: if it is of no kind, or the channels do not tell.
    """
    if kind not in (None, *INPUTS):
        raise ModelError(f"input is {shown(kind)}; expected one of {', '.join(INPUTS)}")
    channels = latent_channels(model)
    name = type(model).__name__
    model.__class__ = type(name, (Autoencoder, type(model)), {"input_kind": kind})
    latents = f"latents of {channels} channels are decoded" if channels and not kind else ""
    pixels = "pixels, 0 to 1, are mapped to -1 to 1" if space_axes(model) > 1 else "waveforms are taken as they are"
    images = f"{pixels}, encoded and decoded (without a random draw)"
    if space_axes(model) > 1:
        channels = _setting(model, "in_channels")
        declare(model, ImageNeeds(name, channels if isinstance(channels, int) else 3, value_range="0,1"))
    say(f"{name}: " + ("what comes in is decoded" if kind == LATENTS else "; ".join(filter(None, (images, latents)))))
    return model


def latent_channels(model: nn.Module) -> int | None:
    """Channels between encoder and decoder, None where nothing tells, or they are those of the images."""
    channels = next((found for name in LATENT_CHANNELS if (found := _setting(model, name))), None)
    return None if channels == _setting(model, "in_channels", 3) else channels


def space_axes(model: nn.Module) -> int:
    """Directions of what the encoder takes: those of its first convolution."""
    return next((weight.ndim - 2 for weight in model.get_submodule("encoder").parameters() if weight.ndim > 2), 2)


def _refuse_unknown(model: Any, given: Mapping[str, Any]) -> None:
    """Raise a ModelError for arguments that decode does not take."""
    parameters = inspect.signature(model.decode).parameters
    unknown = [name for name in given if not takes_by_name(parameters, name)]
    if unknown:
        takes = signature_text(parameters)
        raise ModelError(f"decode of {type(model).__name__} has no argument {shown(unknown[0])}; it takes {takes}")


def _refuse_size(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise a ModelError for images and videos whose sides are no multiple of the encoder's factor."""
    factor = _factor(model)
    if len(shape) < 4 or all(side % factor == 0 for side in shape[-2:]):
        return
    fitting = "x".join(str(max(1, side // factor) * factor) for side in shape[-2:])
    frames = f"{shape[2]}x" if len(shape) == 5 and shape[2] > 1 else ""
    raise ModelError(
        f"{type(model).__name__} takes sides that are multiples of {factor}, got {shape[-2]}x{shape[-1]}; give --size"
        f" {frames}{fitting}"
    )


def _factor(model: nn.Module) -> int:
    """Pixels per latent along a side; 1 where nothing tells."""
    levels = next((found for name in LEVELS if (found := _setting(model, name))), (1,))
    return int(_first(model, FACTORS) or 2 ** (len(levels) - 1))


def _first(model: nn.Module, names: tuple[str, ...]) -> Any:
    values = [getattr(model, name, None) or _setting(model, name) for name in names]
    return next((value for value in values if isinstance(value, (int, float)) and value >= 1), None)


def _setting(model: nn.Module, name: str, default: Any = None) -> Any:
    """An entry of the model's configuration."""
    config = model.config
    return config.get(name, default) if isinstance(config, Mapping) else getattr(config, name, default)


def _tensor(result: Any) -> Tensor:
    """The tensor in what a half returns: latents, the most likely ones of a distribution, or a sample."""
    result = result[0] if isinstance(result, tuple) else result
    found = next((value for name in (*CODES, "sample") if (value := getattr(result, name, None)) is not None), result)
    return found.mode() if callable(getattr(found, "mode", None)) and not isinstance(found, Tensor) else found
