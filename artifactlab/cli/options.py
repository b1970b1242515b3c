"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from artifactlab.cli.declaring import Command, declared
from artifactlab.cli.input_options import NOISE_COUNT
from artifactlab.cli.param_types import JsonObject, Parsed
from artifactlab.inputs.arrangements import ARRANGEMENTS
from artifactlab.inputs.crops import Size
from artifactlab.inputs.model_inputs import RANGES
from artifactlab.inputs.noise import parse_noise
from artifactlab.models.typed_arguments import parse_argument

NOISE = Parsed("noise", parse_noise, "1x4x64x64")
ARGUMENT = Parsed("argument", parse_argument, "timestep=500")
SIZE = Parsed("size", Size.parse, "256x192")


def input_options(models: str) -> Callable[[Command], Command]:
    """What `models` are run on beside files, how files become inputs, and what their outputs' values mean."""
    return declared(
        [
            click.option("--noise", type=NOISE, multiple=True, metavar="SHAPE", help=OF_NOISE),
            click.option("--inputs", "inputs_from", metavar="FILE.py:FUNCTION", help="A function that yields inputs."),
            click.option(
                "--count",
                type=click.IntRange(min=1),
                help=f"How many of --noise, or at most of --inputs or of single frames.  [default: {NOISE_COUNT}]",
            ),
            click.option(
                *("--arg", "arguments"),
                type=ARGUMENT,
                multiple=True,
                metavar="NAME=VALUE",
                help="Another argument of forward: JSON (a list is a tensor), text, or @FILE of a tensor.",
            ),
            click.option(
                "--range",
                "value_range",
                type=click.Choice(list(RANGES)),
                help=f"What black and white are to {models}: 0,1 if not given; if given, in the output, too.",
            ),
            click.option(
                "--data-range",
                type=click.FloatRange(min=0, min_open=True),
                help="Distance between black and white in the output, where it is not that of --range.",
            ),
            click.option("--gray", is_flag=True, help="One channel instead of three."),
            click.option("--crop", type=click.IntRange(min=16), help="Side of a centred square crop, in pixels."),
            click.option(
                "--size",
                type=SIZE,
                metavar="HxW",
                help="Centred crop: HxW; TxHxW of video, DxHxW of volumes; L of signals.",
            ),
            click.option(
                "--input-layout",
                type=click.Choice(ARRANGEMENTS),
                help="Axes of video and volumes: NCTHW if not given; NTCHW, frames first; or NCHW, single frames or"
                " slices, --count of each file.",
            ),
        ]
    )


OF_NOISE = "Random input: 1x4x64x64, NAME=1x77x768, or whole numbers NAME=int1000:1x77; repeatable."
FILES = "Files, folders or globs: images, video, NIfTI, WAV, tensors (.npy, .npz, .safetensors, .pt)."
"""What --input takes."""
factory_options = declared(
    [
        click.option(
            "--kwargs", metavar="JSON", default="{}", type=JsonObject(), help="JSON arguments for the factory."
        ),
        click.option(
            "--checkpoint", type=click.Path(path_type=Path), help=".safetensors, or .pt/.pth with weights only."
        ),
        click.option("--checkpoint-key", metavar="NAME", help="Which weights in it: ema, state_dict.generator."),
        click.option("--download", is_flag=True, help="Fetch TARGET, owner/name@revision, from the Hugging Face Hub."),
    ]
)
"""How a model is built."""
model_options = declared(
    [
        factory_options,
        input_options("the model"),
        click.option("--output", metavar="PATH", help="Which of the outputs to judge: logits, 1, 'aux[0].mask'."),
        click.option("--device", default="cpu", show_default=True, help="Where to run the model."),
    ]
)
"""How a model is built and run, and what on."""
layout_option = click.option(
    "--layout", metavar="LETTERS", help="What the axes of the output are, e.g. NTCHW; told by the model by default."
)
"""What a tensor that is no picture is."""
form_option = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
"""For people or for programs."""
