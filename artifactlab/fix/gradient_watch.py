"""Whether a loss does anything: its gradient on the output, compared with that of all other losses."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

LEAST_SHARE = 0.01
"""Of the other losses' gradient, below which a loss is said to do nothing: a hundredth of a step in any direction is
less than what the next batch changes."""


class IneffectiveLossWarning(UserWarning):
    """A loss that was added to a training and cannot change it."""


def watched(output: Tensor, ineffective: Callable[[float], None]) -> Tensor:
    """The output for a loss to be computed from; its gradient is compared in the next backward pass.

    Nothing is compared where the loss is not part of that pass, or is all of it, or where a gradient is not finite, as
    those of a scaler may be. The comparison waits for the device once.

    Args:
        output: which other losses are computed from as it is.
        ineffective: is called with the share of this loss' gradient in that of the others, where that is below
            `LEAST_SHARE`.

    >>> import torch
    >>> output = torch.rand(4, requires_grad=True)
    >>> (watched(output, print).sum() + 1000 * output.sum()).backward()
    0.001
    """
    own: list[Tensor] = []
    alias = output.view_as(output)

    def keep(gradient: Tensor | None) -> None:
        if gradient is not None:  # as of an output that a checker of gradients leaves out
            own.append(gradient.detach())

    def compare(all_of_it: Tensor | None) -> None:
        if own and all_of_it is not None:
            gradient = own.pop()
            others = float((all_of_it.detach() - gradient).norm())
            share = float(gradient.norm()) / others if others > 0 else float("inf")
            if share < LEAST_SHARE and others < float("inf"):
                ineffective(share)

    alias.register_hook(keep)
    output.register_hook(compare)
    return alias
