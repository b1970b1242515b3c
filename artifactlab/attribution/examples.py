"""What a diagnosis keeps for pictures: some channels of each activation, and outputs where a repair changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from artifactlab.attribution.diagnosis import Example
from artifactlab.attribution.repair.trials import Trial
from artifactlab.attribution.sites.activations import Activations
from artifactlab.attribution.sites.records import Site
from artifactlab.models.calls import Call
from artifactlab.models.outputs import first_image


def kept_examples(
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    sites: Sequence[Site],
    alone: Mapping[Site, Trial],
    activations: Sequence[Activations],
) -> tuple[Example, ...]:
    """The first inputs with their outputs, the sites' own outputs, and what repairing each site changes."""
    examples = []
    for k, (call, image, recorded) in enumerate(zip(calls, outputs, activations, strict=False)):
        source = first_image((call.args, call.kwargs))
        kept = {site.key: recorded.kept.get(site.first_key) for site in sites}
        examples.append(
            Example(
                input=None if source is None else source[0].cpu(),
                output=image[0],
                changes={site.key: trial.changes[k] for site, trial in alone.items()},
                repaired={site.key: trial.windows[k] for site, trial in alone.items()},
                # a site may run in some passes only
                activations={key: activation for key, activation in kept.items() if activation is not None},
            )
        )
    return tuple(examples)
