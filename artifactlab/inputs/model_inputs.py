"""Files and probes as model inputs: read, cropped, and mapped to the range the model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.inputs.arrangements import arranged
from artifactlab.inputs.crops import Size, cropped, crops_around, size_along
from artifactlab.inputs.formats import INPUT_FORMATS, InputFile, Reading, format_of_input
from artifactlab.inputs.image_files import SUFFIXES, Wanted, find_files
from artifactlab.inputs.images import MIN_SIDE, read_image
from artifactlab.inputs.probes import make_probe
from artifactlab.inputs.sounds import SOUND
from artifactlab.inputs.videos import VIDEO
from artifactlab.inputs.volumes import VOLUME

PROBE_SIZE = 256
"""Pixels per side of a probe where no crop is given: in it a lattice of 16 is measured in four crops."""
RANGES: dict[str, tuple[float, float]] = {"0,1": (0.0, 1.0), "-1,1": (-1.0, 1.0), "0,255": (0.0, 255.0)}
"""What black and white may be to a model, by the text that the command line takes."""

INPUT_FORMATS.register("video", VIDEO)
INPUT_FORMATS.register("volume", VOLUME)
INPUT_FORMATS.register("sound", SOUND)


def load_inputs(
    paths: Sequence[str | Path] = (),
    probes: Sequence[str] = (),
    *,
    value_range: tuple[float, float] = (0.0, 1.0),
    gray: bool = False,
    crop: int | tuple[int, ...] | None = None,
    every_crop: bool = False,
    arrangement: str = "NCTHW",
    count: int = 8,
    say: Callable[[str], None] | None = None,
) -> list[Any]:
    """One input per file and per probe, as `diagnose` takes them.

    Files are told apart by what they hold, not by their names; those of folders and patterns, by both. Images are
    `(1, C, H, W)`, videos `(1, C, T, H, W)`, NIfTI volumes `(1, C, D, H, W)`, sounds `(1, C, L)`. Files of tensors
    (`.npy`, `.npz`, `.safetensors`, `.pt`) hold one input as it is, its batch axis included; names in them are those of
    the arguments, and a list in a `.pt` holds several inputs.

    Args:
        paths: files, folders and glob patterns.
        probes: names of `artifactlab.inputs.probes`.
        value_range: what black and white are mapped to, in images, videos and volumes; other numbers stay.
        gray: one channel instead of three; not of tensors.
        crop: side of a centred square, and of probes; or the size along the last axes, such as (T, H, W). Of videos,
            the first T frames are taken. None for all there is.
        every_crop: after all centred crops also those beside them, which do not overlap, as far as inputs are larger.
        arrangement: what videos and volumes become: `NCTHW` as they are read; `NTCHW`; or `NCHW`, single frames.
        count: single frames that are taken of each at most, evenly spread; of videos, of as many from the first on.
        say: called with what was done to a file's values, where that is not plain.

    Raises:
        InputError: if there is nothing to load, a file cannot be read, or it is smaller than the crop or 16 pixels.

    >>> [tuple(image.shape) for image in load_inputs(probes=["ramp", "constant"], crop=64)]
    [(1, 3, 64, 64), (1, 3, 64, 64)]
    """
    if not paths and not probes:
        raise InputError(
            "nothing to run the model on: give --input PATH (files, folders, globs) or --probe NAME; for latents"
            " --noise 1x4x64x64, or --inputs file.py:function"
        )
    frames = crop[0] if isinstance(crop, tuple) and len(crop) > 2 else count if arrangement == "NCHW" else None
    loaded = [_read(path, Reading(gray, frames)) for path in (_found(paths) if paths else [])]
    loaded += [_Loaded(name, InputFile(_probe(name, crop, gray))) for name in probes]
    for one in loaded:
        if say and one.file.note:
            say(one.file.note)
    chosen = [part for one in loaded for part in one.arranged(one.inputs(crop, value_range), arrangement, count)]
    if every_crop and crop:
        beside = (one.arranged(one.beside(crop, value_range), arrangement, count) for one in loaded)
        chosen += [part for parts in beside for part in parts]
    return chosen


@dataclass(frozen=True)
class _Loaded:
    """What a file or a probe holds."""

    name: str
    """The file's, or the probe's."""
    file: InputFile
    """Its content."""

    def inputs(self, crop: int | tuple[int, ...] | None, value_range: tuple[float, float]) -> list[Any]:
        """The inputs in it, tensors cropped to their centre."""
        content = self.file.content
        if not isinstance(content, Tensor):
            if crop is not None:
                raise InputError(f"{self.name} holds several tensors, which --crop and --size do not cut; save crops")
            return content if isinstance(content, list) else [content]
        if self.file.pixels:
            _refuse_small(content, self.name)
        return [self._mapped(cropped(content, size_along(content, crop, self.name)), value_range)]

    def beside(self, crop: int | tuple[int, ...], value_range: tuple[float, float]) -> list[Tensor]:
        """The crops beside the centred one."""
        content = self.file.content
        size = size_along(content, crop, self.name) or Size()
        return [self._mapped(part, value_range) for part in crops_around(content, size)]

    def arranged(self, parts: list[Any], arrangement: str, count: int) -> list[Any]:
        """Its parts in the order of axes that a model takes; files of tensors hold what it takes as it is."""
        return [one for part in parts for one in arranged(part, arrangement, count)] if self.file.pixels else parts

    def _mapped(self, values: Tensor, value_range: tuple[float, float]) -> Tensor:
        low, high = value_range
        return low + (high - low) * values if self.file.pixels else values


def _found(paths: Sequence[str | Path]) -> list[Path]:
    others = [suffix for known in INPUT_FORMATS.values() for suffix in known.suffixes]
    return find_files(paths, Wanted((*SUFFIXES, *others), what="input file"))


def _read(path: Path, reading: Reading) -> _Loaded:
    known = format_of_input(path)
    if known is None:
        return _Loaded(str(path), InputFile(read_image(path, gray=reading.gray)[None]))
    return _Loaded(str(path), known.read(path, reading))


def _probe(name: str, crop: int | tuple[int, ...] | None, gray: bool) -> Tensor:
    """A probe of the size that is asked for: an image, or the same one for every frame of a video or a volume."""
    sides = (crop, crop) if isinstance(crop, int) else crop or (PROBE_SIZE, PROBE_SIZE)
    if len(sides) < 2:
        raise InputError(f"a probe is an image; give --size HxW, TxHxW or DxHxW instead of {Size(sides)}")
    image = cropped(make_probe(name, max(sides[-2:]), channels=1 if gray else 3), Size(sides[-2:]))
    return image if len(sides) == 2 else image[:, :, None].expand(-1, -1, sides[0], -1, -1).contiguous()


def _refuse_small(values: Tensor, name: str) -> None:
    if min(values.shape[-2:]) < MIN_SIDE:
        sides = "x".join(map(str, values.shape[2:]))
        raise InputError(f"{name} is {sides} pixels; a diagnosis needs at least {MIN_SIDE}x{MIN_SIDE}")
