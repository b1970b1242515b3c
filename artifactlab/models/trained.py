"""Whether a model's weights are trained, guessed from the weights alone."""

from __future__ import annotations

import math

from torch import Tensor, nn

from artifactlab.models.wrappers import unwrap

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
)
STANDARD_ERRORS = 4.0
"""How many standard errors a mean square may be away from an initialisation's: chance is further away once in 16,000
layers (docs/decisions.md, *A guess whether weights are trained*)."""
UNIFORM = 9 / 5 - 1
"""Variance of the square of a uniform variable over its squared mean: its kurtosis less 1."""
NORMAL = 3 - 1
"""The same of a normal variable, whose squares vary more."""
SMALL_STDS = (0.02, 0.01)
"""Standard deviations that weights are drawn with whatever the layer's size: GANs (Radford et al. 2016) and vision
transformers, vocoders (Kong et al. 2020, HiFi-GAN)."""


def looks_trained(model: nn.Module) -> bool:
    """Whether most layers of a model have left the values that layers start with; a guess.

    A convolution or linear layer is as it started if its weights have the mean square of torch's default or of one of
    the usual initialisations (He, Glorot, LeCun, a normal one of 0.02), and its biases are all the same or drawn by
    torch's default. A norm layer is, if its shifts and running means are all the same. Every layer has one vote, so
    that neither a frozen layer nor one that is initialised in a way of its own decides.

    Args:
        model: any `nn.Module`; it is only read. One without such layers does not look trained.

    Raises:
        ModelError: if it is no `nn.Module`, or one whose forward cannot be read.

    >>> from artifactlab.demo.unet import DemoUNet, healthy
    >>> looks_trained(healthy()), looks_trained(DemoUNet())
    (True, False)
    """
    votes = _votes(model)
    return 2 * sum(votes) > len(votes)


def looks_untrained(model: nn.Module) -> bool:
    """Whether there is something to train in a model, and it does not look trained; the same guess.

    >>> from artifactlab.demo.unet import DemoUNet, healthy
    >>> looks_untrained(healthy()), looks_untrained(DemoUNet()), looks_untrained(nn.Upsample(scale_factor=2))
    (False, True, False)
    """
    votes = _votes(model)
    return bool(votes) and 2 * sum(votes) <= len(votes)


def _votes(model: nn.Module) -> list[bool]:
    """Of each layer with weights, whether it has left the values that it started with. Norms may have none to leave."""
    modules = list(unwrap(model).modules())
    votes = [_has_moved(layer.weight, layer.bias) for layer in modules if isinstance(layer, LAYERS)]
    return votes + [_norm_has_moved(norm) for norm in modules if isinstance(norm, NORMS) and norm.state_dict()]


def _has_moved(weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the values of a convolution or linear layer are none that it may have started with."""
    if not weight.numel():
        return False
    fan_in = weight[0].numel()
    if not (_is_constant(weight) or _is_default(weight, fan_in) or _is_usual(weight, fan_in)):
        return True
    return bias is not None and not _is_constant(bias) and not _is_default(bias, fan_in)


def _norm_has_moved(norm: nn.Module) -> bool:
    """Whether shifts (gains, where there are none) or running means differ from channel to channel."""
    gain, shift = getattr(norm, "weight", None), getattr(norm, "bias", None)
    known = (gain if shift is None else shift, getattr(norm, "running_mean", None))
    return any(values is not None and not _is_constant(values) for values in known)


def _is_constant(values: Tensor) -> bool:
    return values.numel() == 0 or bool((values == values.flatten()[0]).all())


def _is_default(values: Tensor, fan_in: int) -> bool:
    """Whether they may be torch's default: uniform within the inverse root of the inputs of one output."""
    bound = 1 / math.sqrt(fan_in)
    peak = float(values.detach().abs().max())
    return peak <= bound * (1 + 1e-3) and _has_mean_square(values, bound**2 / 3, UNIFORM)


def _is_usual(weight: Tensor, fan_in: int) -> bool:
    fan_out = weight.shape[0] * weight[0, 0].numel()
    he, glorot, lecun = (2 / fan_in, 2 / fan_out), 2 / (fan_in + fan_out), 1 / fan_in
    small = [std**2 for std in SMALL_STDS]
    return any(_has_mean_square(weight, expected, NORMAL) for expected in (*he, glorot, lecun, *small))


def _has_mean_square(values: Tensor, expected: float, spread: float) -> bool:
    """Whether the mean square is as expected, within what chance does to the mean of so many values."""
    share = float(values.detach().abs().double().square().mean()) / expected
    return abs(share - 1) <= STANDARD_ERRORS * math.sqrt(spread / values.numel())
