"""What black and white are in the inputs, where the outputs say that the model was trained on something else."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from artifactlab.models.calls import Call
from artifactlab.models.outputs import first_image
from artifactlab.scoring.data_range import PIXELS, extent_of, pixels_of

UNSIGNED, SIGNED = PIXELS[:2]


def input_doubt(calls: Sequence[Call], outputs: Sequence[Tensor]) -> str:
    """A sentence where pictures from 0 to 1 come out from -1 to 1, as they do of a net that was to be given those.

    Such a net runs on the upper half of its inputs, and what it draws there is not what it draws. Masks and labels may
    be 0 to 1 to a net whose output is signed; so it is asked, and nothing is refused.
    """
    images = [image for call in calls if (image := first_image((call.args, call.kwargs))) is not None]
    if not images or pixels_of(images) != UNSIGNED or pixels_of(outputs) != SIGNED:
        return ""
    low, high = extent_of(outputs)
    return (
        f"Check the inputs first: they run from {UNSIGNED.text}, and the output from {low:.2g} to {high:.2g}. If black"
        f" and white are {SIGNED.low:g} and {SIGNED.high:g} to the model, give it those (2 * x - 1, --range -1,1). As"
        " given: "
    )
