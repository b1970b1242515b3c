"""The nodes: an upscale model and a VAE are diagnosed, images are scored."""

from __future__ import annotations

from typing import Any

import torch
from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io, ui
from torch import Tensor, nn

import artifactlab

from .found import Found, of_diagnosis, of_images
from .models import channels_first, decoder_of, upscaler_of

CATEGORY = "artifactlab"
CROP = 256
"""Pixels a side of the middle of each image that a model is run on, by default: enough for an interval, and seconds
instead of minutes for a large image."""


def outputs() -> list[Any]:
    """What all nodes put out."""
    return [
        io.String.Output(display_name="verdict", tooltip="what was found, in plain words"),
        io.Image.Output(display_name="map", tooltip="where it is, bright; the verdict says how bright"),
        io.Float.Output(display_name="severity", tooltip="1 just shows, 0 is clean"),
        io.Boolean.Output(display_name="passed", tooltip="nothing shows; false also where it cannot be told"),
    ]


def crop_input() -> Any:
    """How much of each image a model is run on."""
    tooltip = "pixels a side of the middle of each image that the model is run on; 0 is all of it"
    return io.Int.Input("crop", default=CROP, min=0, max=4096, step=8, tooltip=tooltip)


def diagnosed(model: nn.Module, inputs: list[Tensor]) -> artifactlab.Diagnosis:
    """A model diagnosed, with ComfyUI's progress bar, by which it can also be interrupted."""
    bar = ProgressBar(1)
    return artifactlab.diagnose(model, inputs, data_range=1.0, progress=bar.update_absolute)


def node_output(found: Found) -> io.NodeOutput:
    """What was found, also shown on the node itself."""
    return io.NodeOutput(found.verdict, found.map, found.severity, found.passed, ui=ui.PreviewText(found.verdict))


class DiagnoseUpscaleModel(io.ComfyNode):
    """Which layer of an upscale model draws stair-steps or checkerboards."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What comes in and goes out."""
        return io.Schema(
            node_id="ArtifactLabDiagnoseUpscaleModel",
            display_name="Diagnose Upscale Model",
            category=CATEGORY,
            description="Which layer of the model draws stair-steps or checkerboards: each upsampling layer is repaired"
            " alone, and what disappears from the output is its effect.",
            inputs=[
                io.UpscaleModel.Input("upscale_model"),
                io.Image.Input("image", tooltip="what the model is run on, before it is upscaled"),
                crop_input(),
            ],
            outputs=outputs(),
            is_output_node=True,
        )

    @classmethod
    def execute(cls, upscale_model: Any, image: Tensor, crop: int) -> io.NodeOutput:
        """Diagnose a copy of the model, so that the one in ComfyUI's cache stays as it is."""
        with torch.inference_mode(False):  # which ComfyUI runs nodes in, and which keeps gradients from being taken
            model, inputs, remarks = upscaler_of(upscale_model, channels_first(image, crop))
            return node_output(of_diagnosis(diagnosed(model, inputs), remarks))


class DiagnoseVae(io.ComfyNode):
    """Which layer of a VAE's decoder draws stair-steps or checkerboards."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What comes in and goes out."""
        return io.Schema(
            node_id="ArtifactLabDiagnoseVae",
            display_name="Diagnose VAE",
            category=CATEGORY,
            description="Which layer of the decoder draws stair-steps or checkerboards: the image is encoded, and its"
            " latents are decoded again and again, each time with one upsampling layer repaired.",
            inputs=[io.Vae.Input("vae"), io.Image.Input("image", tooltip="what is encoded"), crop_input()],
            outputs=outputs(),
            is_output_node=True,
        )

    @classmethod
    def execute(cls, vae: Any, image: Tensor, crop: int) -> io.NodeOutput:
        """Diagnose a copy of the decoder, on the latents of the image."""
        with torch.inference_mode(False):  # as above
            model, latents = decoder_of(vae, channels_first(image, crop))
            return node_output(of_diagnosis(diagnosed(model, latents)))


class ScoreImage(io.ComfyNode):
    """How bad stair-steps and checkerboards of images are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What comes in and goes out."""
        return io.Schema(
            node_id="ArtifactLabScoreImage",
            display_name="Score Image for Artifacts",
            category=CATEGORY,
            description="Whether images hold stair-steps or a checkerboard, at which spacing, and where. It needs no"
            " model: what is in step with a lattice of 2 to 16 pixels is found in the pixels alone.",
            inputs=[io.Image.Input("image")],
            outputs=outputs(),
            is_output_node=True,
        )

    @classmethod
    def execute(cls, image: Tensor) -> io.NodeOutput:
        """Score each image of the batch by itself; the worst one decides."""
        with torch.inference_mode(False):
            return node_output(of_images(channels_first(image)))


NODES = (DiagnoseUpscaleModel, DiagnoseVae, ScoreImage)
"""Every node of this package."""
