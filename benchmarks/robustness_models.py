"""A random decoder by its number, in the state in which it is handed over: modes, hooks, gradients, and its input."""

from __future__ import annotations

import random
from typing import Any

import torch
from robustness_nets import DTYPES, MOST_OUTPUT, OUTPUTS, Decoder, convolution, stages_of
from torch import Tensor, nn

SEEN = "seen"
"""the attribute in which a hook counts"""
COUNTERS = (SEEN, "runs")
"""what hooks and forwards of the user's own note, and may"""
NEVER = 1 << 60


def decoder(number: int) -> tuple[nn.Module, Tensor]:
    """The decoder of that number and an input for it; every call builds an equal one."""
    rng = random.Random(number)
    torch.manual_seed(number)
    channels, colours, dtype = rng.choice((4, 6, 8)), rng.choice((1, 3)), rng.choice(DTYPES)
    height, width = rng.choice(((16, 16), (24, 24), (32, 32), (20, 28), (17, 23)))
    stages = stages_of(rng, channels, MOST_OUTPUT // max(height, width))
    habits = {
        "output": rng.choice(OUTPUTS),
        "registers": rng.choice(("nothing",) * 6 + ("a buffer", "a module")),
        "skips": rng.random() < 0.3,
        "raises from": rng.choice((1, 2, 3, *[NEVER] * 30)),
    }
    model = Decoder([convolution(rng, colours, channels), *stages], convolution(rng, channels, colours), habits)
    model.to(dtype)
    for part in model.modules():
        part.training = rng.random() < 0.9 if rng.random() < 0.1 else number % 2 == 0
    _hand_over(model, rng)
    model = nn.DataParallel(model) if rng.random() < 0.05 else model
    image = torch.rand(rng.choice((1, 1, 2)), colours, height, width, dtype=torch.float32).to(dtype)
    return model, image


def _hand_over(model: nn.Module, rng: random.Random) -> None:
    """Freeze some weights, give some a gradient, hang hooks of every kind on some modules."""
    for weight in model.parameters():
        weight.requires_grad_(rng.random() < 0.9)
        if weight.requires_grad and rng.random() < 0.3:
            weight.grad = torch.full_like(weight, 0.5)
    if rng.random() < 0.2:
        model.to(memory_format=torch.channels_last)
    parts = list(model.modules())
    for _ in range(rng.choice((0, 0, 1, 3))):
        rng.choice(HANG)(rng.choice(parts))


def _count(module: nn.Module, *_: Any) -> None:
    """A hook that only looks: notes at the module how often it ran."""
    setattr(module, SEEN, getattr(module, SEEN, 0) + 1)


def _count_with_kwargs(module: nn.Module, args: Any, kwargs: dict[str, Any], *_: Any) -> None:
    _count(module)


def _halved(module: nn.Module, args: Any, output: Any) -> Any:
    """A hook that takes the output's place."""
    return output / 2 if isinstance(output, Tensor) else None


def _doubled(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A hook that takes the input's place."""
    return tuple(2 * arg if isinstance(arg, Tensor) else arg for arg in args)


HANG = (
    lambda part: part.register_forward_hook(_count),
    lambda part: part.register_forward_hook(_count, always_call=True),
    lambda part: part.register_forward_hook(_count_with_kwargs, with_kwargs=True, prepend=True),
    lambda part: part.register_forward_hook(_halved),
    lambda part: part.register_forward_pre_hook(_doubled),
    lambda part: part.register_forward_pre_hook(_count),
    lambda part: part.register_full_backward_hook(_count),
)
"""ways to hang a hook on a module; a backward hook and one that writes in place do not go together in torch itself"""
