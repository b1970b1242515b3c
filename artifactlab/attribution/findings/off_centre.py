"""Layers whose samples do not lie where resizing, and kernels as wide as twice their stride, put them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
POOLS = (nn.MaxPool2d, nn.AvgPool2d)
MOST_NAMED = 3
"""Layers that a sentence names: those of one net are of one kind."""


def off_centre(model: nn.Module) -> dict[str, str]:
    """The layers that halve or double images (or more) half a pixel off their cells' centres: what they are, by name.

    A coarse pixel stands for as many fine ones as the stride, and its centre is in their middle. There an even kernel
    looks that is padded alike on both sides, and an odd one does not. Layers that are off by the same agree with each
    other, and with no resize.

    >>> off_centre(nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.ConvTranspose2d(8, 3, 3, 2, 1, output_padding=1)))
    {'1': 'ConvTranspose2d of kernel 3, stride 2, padding 1'}
    """
    found = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, CONVOLUTIONS + POOLS) or isinstance(layer.padding, str):
            continue
        numbers = [_per_axis(value) for value in (layer.kernel_size, layer.stride, layer.padding, _dilation(layer))]
        if any(_is_off(*along) for along in zip(*numbers, strict=True)):
            said = zip(("kernel", "stride", "padding"), numbers, strict=False)
            found[name] = f"{type(layer).__name__} of {', '.join(f'{what} {_said(value)}' for what, value in said)}"
    return found


def off_centre_text(layers: dict[str, str], beside: Sequence[str]) -> str:
    """Which of the layers sit off, as a sentence; those of some names first. Empty where there are none."""
    if not layers:
        return ""
    names = sorted(layers, key=lambda name: name not in beside)
    kinds = sorted({layers[name] for name in names[:MOST_NAMED]})
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    several = len(names) > 1
    return (
        f"{', '.join(names[:MOST_NAMED])}{more} ({'; '.join(kinds)}) {'sample' if several else 'samples'} half a pixel"
        f" off what resizing and even kernels assume: give {'them' if several else 'it'} an even kernel, as 4 with"
        " stride 2 and padding 1. "
    )


def _is_off(kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether the middle of what a kernel covers is not the middle of a cell of `stride` pixels."""
    return stride > 1 and dilation * (kernel - 1) - 2 * padding != stride - 1


def _dilation(layer: nn.Module) -> int | tuple[int, ...]:
    return getattr(layer, "dilation", 1)  # what averages has none


def _per_axis(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)


def _said(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))
