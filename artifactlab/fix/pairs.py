"""A resize and the convolution that reads it, found in a module, checked and taken apart for `fuse`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from artifactlab.errors import FixError
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.models.torch_internals import forward_hooks, forward_pre_hooks

SCALES = (2, 3, 4)
"""Scales that can be fused: those that `benchmarks/fuse.py` measures, and the one between."""
RESAMPLES = ("nearest", "bilinear")
BORDERS: dict[type[nn.Module], str] = {
    nn.ZeroPad2d: "zeros",
    nn.ReplicationPad2d: "replicate",
    nn.ReflectionPad2d: "reflect",
}
"""Padding modules that may stand between, and the `padding_mode` that does the same."""
PAD_MODES = {"zeros": "constant", "replicate": "replicate", "reflect": "reflect"}
"""The mode of `F.pad` by a convolution's `padding_mode`."""


@dataclass(frozen=True)
class Pair:
    """A resize and a convolution, taken apart."""

    resample: str
    """The kind of the resize, one of `RESAMPLES`."""
    scale: int
    """The factor of the resize, one of `SCALES`."""
    conv: nn.Conv2d
    """A copy of the convolution."""
    border: str
    """How the convolution is padded, one of `PAD_MODES`."""
    pads: tuple[int, int, int, int]
    """Pixels by which the enlarged input is padded: left, right, top, bottom, as `F.pad` takes them."""


def pair_of_block(block: ResizeConvUpsample) -> Pair:
    _refuse_changed(block, ResizeConvUpsample)
    if not isinstance(block.conv, nn.Conv2d) or len(set(block.scale)) > 1:
        raise FixError(
            f"it enlarges by {block.scale}; what can be fused enlarges images, rows and columns alike: run the block as"
            " it is, which gives the same"
        )
    return _pair(block.resample, block.scale[0], block.conv, None)


def pair_of_sequence(parts: Sequence[nn.Module], sequence: nn.Sequential | None = None) -> Pair:
    """The pair of a list of modules, those that do nothing left out; `sequence` is the module that holds just them."""
    if sequence is not None:
        _refuse_changed(sequence, nn.Sequential)
    listed = ", ".join(type(part).__name__ for part in parts) or "nothing"
    parts = [part for part in parts if type(part) is not nn.Identity]
    between = [tuple(BORDERS)] if len(parts) > 2 else []
    kinds: list[tuple[type[nn.Module], ...]] = [(nn.Upsample,), *between, (nn.Conv2d,)]
    if len(parts) > 2 and isinstance(parts[0], nn.Upsample):
        convs = [k for k, part in enumerate(parts) if isinstance(part, nn.Conv2d)]
        if convs and convs[0] < len(parts) - 1:
            after = type(parts[convs[0] + 1]).__name__
            raise FixError(
                f"{after} follows the convolution, and is not part of what can be fused; give fuse the modules up to"
                " the convolution, or use fuse_model, which leaves the others as they are"
            )
    if len(parts) != len(kinds) or not all(isinstance(part, kind) for part, kind in zip(parts, kinds, strict=True)):
        raise FixError(
            f"a sequence of {listed} cannot be fused; expected nn.Upsample, at most one of"
            f" {', '.join(kind.__name__ for kind in BORDERS)}, and nn.Conv2d"
        )
    up, padding, conv = parts[0], parts[1] if len(parts) == 3 else None, parts[-1]
    assert isinstance(up, nn.Upsample)
    assert isinstance(conv, nn.Conv2d)
    _refuse_changed(up, nn.Upsample)
    return _pair(*_resize_of(up), conv, padding)


def _resize_of(up: nn.Upsample) -> tuple[str, int]:
    """Resample and scale."""
    if up.scale_factor is None:
        raise FixError(f"the resize is to the size {up.size}; give nn.Upsample a scale_factor of {_listed(SCALES)}")
    factors = up.scale_factor if isinstance(up.scale_factor, tuple) else (up.scale_factor,)
    if len(set(factors)) > 1 or factors[0] not in SCALES:
        raise FixError(f"the scale is {up.scale_factor}; expected {_listed(SCALES)}, the same in both directions")
    if up.align_corners:
        raise FixError(
            "align_corners is True, with which every pixel has weights of its own; expected False, and another result"
        )
    return ("nearest" if up.mode == "nearest-exact" else up.mode), int(factors[0])


def _pair(resample: str, scale: int, conv: nn.Conv2d, padding: nn.Module | None) -> Pair:
    """All of it, checked; the convolution as a copy, as reading a parametrised weight may change it."""
    if resample not in RESAMPLES:
        raise FixError(f"the resize is {resample}; expected {_listed(RESAMPLES)}, whose phases are small")
    if scale not in SCALES:
        raise FixError(f"the scale is {scale}; expected {_listed(SCALES)}")
    _refuse_changed(conv, nn.Conv2d)
    for what, value, wanted in (("stride", conv.stride, 1), ("dilation", conv.dilation, 1)):
        if any(part != wanted for part in value):
            raise FixError(f"the convolution has {what} {value}; expected {wanted}")
    if any(size % 2 == 0 for size in conv.kernel_size):
        raise FixError(f"the convolution has a kernel of {conv.kernel_size}; expected an odd one")
    if conv.padding_mode not in PAD_MODES:
        raise FixError(f"the convolution's padding_mode is {conv.padding_mode!r}; expected {_listed(tuple(PAD_MODES))}")
    border, pads = str(conv.padding_mode), _conv_pads(conv)
    if padding is not None:
        kind = next(kind for kind in BORDERS if isinstance(padding, kind))
        _refuse_changed(padding, kind)
        if any(pads):
            raise FixError(f"{padding} stands before a convolution that pads by {conv.padding} itself; expected one")
        border, pads = BORDERS[kind], padding.padding  # type: ignore[assignment]
    half = (conv.kernel_size[1] // 2,) * 2 + (conv.kernel_size[0] // 2,) * 2
    if any(not 0 <= given <= most for given, most in zip(pads, half, strict=True)):
        raise FixError(f"padded by {pads} (left, right, top, bottom); expected at most half the kernel, {half}")
    return Pair(resample, scale, copy.deepcopy(conv).eval(), border, pads)


def _conv_pads(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    vertical, horizontal = conv.padding if isinstance(conv.padding, tuple) else (s // 2 for s in conv.kernel_size)
    if conv.padding == "valid":
        vertical, horizontal = 0, 0
    return horizontal, horizontal, vertical, vertical


def has_standard_forward(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether it runs the forward that the class is known for, and no hooks."""
    own = all(getattr(type(module), name, 0) is getattr(kind, name, 0) for name in ("forward", "_conv_forward"))
    return own and not forward_hooks(module) and not forward_pre_hooks(module)


def _refuse_changed(module: nn.Module, kind: type[nn.Module]) -> None:
    if not has_standard_forward(module, kind):
        raise FixError(
            f"{type(module).__name__} has a forward of its own, or hooks, which would be lost; expected a plain"
            f" {kind.__name__} (weight and spectral norm of the old kind are hooks: remove_weight_norm folds them in)"
        )


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}"
