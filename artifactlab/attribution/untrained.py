"""What is said of a diagnosis of weights that were never trained."""

from __future__ import annotations

from torch import nn

from artifactlab.models.trained import looks_untrained

UNTRAINED = (
    " The weights look untrained: most layers still have the values they were initialised with. What random weights"
    " draw is no artifact to speak of and says nothing of the architecture once trained; load a checkpoint, or see"
    " what `artifactlab lint` says of the structure."
)


def untrained_note(model: nn.Module) -> str:
    """A note for the end of a verdict, which accuses and acquits nobody; empty where the weights look trained.

    It is said of clean outputs, too: those of random weights are as little a proof. Where a model has no weights,
    there is nothing to train, and nothing is said.
    """
    return UNTRAINED if looks_untrained(model) else ""
