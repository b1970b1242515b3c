"""What comes out of ComfyUI's sockets, as artifactlab takes it: models that can be run again and again, and images."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from comfy.model_management import get_torch_device
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.inputs.crops import Size, cropped
from artifactlab.models.calls import Call
from artifactlab.models.image_needs import needs_of, suited
from artifactlab.models.spandrel_descriptor import described_model, is_descriptor

COLOURS = 3
"""Channels of an image that are colours; a fourth is how opaque it is."""


def channels_first(image: Tensor, crop: int = 0) -> list[Tensor]:
    """Each image of a batch (B, H, W, C) as (1, C, H, W), or the middle of it, as ordinary tensors.

    Raises:
        InputError: if it is no such batch.
    """
    if not isinstance(image, Tensor) or image.ndim != 4 or not 0 < image.shape[3] <= COLOURS + 1:
        given = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise InputError(f"expected images (B, H, W, C) of ComfyUI, got {given}")
    images = image[..., :COLOURS].movedim(-1, 1).float()
    if crop:
        images = cropped(images, Size(min(crop, side) for side in images.shape[2:]))
    return [one.clone() for one in images.split(1)]  # what was made in inference mode has no gradient; its copy has


def upscaler_of(descriptor: Any, images: list[Tensor]) -> tuple[nn.Module, list[Tensor], list[str]]:
    """A copy of an upscale model, images as it takes them, and what was done to these.

    Raises:
        InputError: if it is no model of spandrel's, or an image is too small for it.
    """
    if not is_descriptor(descriptor):
        raise InputError(f"expected an upscale model, as Load Upscale Model makes it, got {type(descriptor).__name__}")
    # a copy, as the model was made in inference mode, in which nothing has gradients, and as other nodes go on with it
    model = described_model(deepcopy(descriptor)).to(get_torch_device())
    weights, remarks = next(model.parameters()), list[str]()
    needs = needs_of(model)
    calls = [Call((image.to(weights),)) for image in images]
    return model, [call.args[0] for call in (suited(needs, calls, remarks.append) if needs else calls)], remarks


class Decoder(nn.Module):
    """The decoder of a VAE as a model from latents to images, 0 to 1, as ComfyUI's own node decodes them."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.first_stage_model = deepcopy(vae.first_stage_model).eval()
        self.process_output = vae.process_output

    def forward(self, latents: Tensor) -> Tensor:
        """(N, C, *space) of latents to (N, 3, *space) of pixels."""
        # a copy, as process_output may write into what it is given, which is also what the last layer drew
        return self.process_output(self.first_stage_model.decode(latents).float().clone())


def decoder_of(vae: Any, images: list[Tensor]) -> tuple[nn.Module, list[Tensor]]:
    """A copy of a VAE's decoder, and the latents of images.

    Raises:
        InputError: if it is no VAE that images are encoded by.
    """
    if missing := [name for name in ("first_stage_model", "encode", "process_output") if not hasattr(vae, name)]:
        raise InputError(f"expected a VAE, as Load VAE makes it; {type(vae).__name__} has no {', '.join(missing)}")
    latents = [vae.encode(image.movedim(1, -1)) for image in images]  # also brings the weights to where they run
    model = Decoder(vae)
    weights = next(model.parameters())
    return model, [latent.to(weights).clone() for latent in latents]
