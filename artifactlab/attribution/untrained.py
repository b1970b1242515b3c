"""What is said of a diagnosis of weights that were never trained."""

from __future__ import annotations

from torch import nn

from artifactlab.models.trained import looks_untrained

UNTRAINED = (
    " The weights look untrained: what random ones draw is no artifact to speak of, and says nothing of the"
    " architecture once trained; load a checkpoint, or see `artifactlab lint`."
)


def untrained_note(model: nn.Module) -> str:
    """A note for the end of a verdict, which accuses and acquits nobody; empty where the weights look trained.

    It is said of clean outputs, too: those of random weights are as little a proof. Where a model has no weights,
    there is nothing to train, and nothing is said.
    """
    return UNTRAINED if looks_untrained(model) else ""
