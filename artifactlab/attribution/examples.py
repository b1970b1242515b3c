"""What a diagnosis keeps for pictures: some channels of each activation, and outputs where a repair changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from artifactlab.attribution.diagnosis import Example
from artifactlab.attribution.repair.trials import Trial
from artifactlab.attribution.sites.activations import Activations
from artifactlab.attribution.sites.records import Site
from artifactlab.attribution.windows import examples_of
from artifactlab.models.calls import Call
from artifactlab.models.layout import FEW_CHANNELS, Layout
from artifactlab.models.outputs import first_image, is_spatial, tensors


def kept_examples(
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    sites: Sequence[Site],
    alone: Mapping[Site, Trial],
    activations: Sequence[Activations],
    layout: Layout | None = None,
) -> tuple[Example, ...]:
    """The first inputs with their outputs, the sites' own outputs, and what repairing each site changes.

    Args:
        calls: the inputs.
        outputs: (N, C, *space) of each.
        sites: those that are reported.
        alone: what repairing a site by itself did.
        activations: of the first calls, what the sites put out.
        layout: what the axes of raw outputs are, which inputs of as many axes share.
    """
    examples = []
    several = examples_of(outputs[0])
    for k, (call, image, recorded) in enumerate(zip(calls[:several], outputs, activations, strict=False)):
        source = _source(call, image, layout)
        kept = {site.key: recorded.kept.get(site.first_key) for site in sites}
        examples.append(
            Example(
                input=source,
                output=image[0],
                changes={site.key: trial.changes[k] for site, trial in alone.items()},
                repaired={site.key: trial.windows[k] for site, trial in alone.items()},
                # a site may run in some passes only
                activations={key: activation for key, activation in kept.items() if activation is not None},
            )
        )
    return tuple(examples)


def _source(call: Call, output: Tensor, layout: Layout | None) -> Tensor | None:
    """The first of the inputs that look like the output; None for latents, spectra and numbers, which show nothing."""
    if output.ndim == 4:
        image = first_image((call.args, call.kwargs))
        return None if image is None else image[0].cpu()
    alike = [tensor for _, tensor in tensors((call.args, call.kwargs)) if is_spatial(tensor)]
    alike = [layout.images(tensor) if layout and layout.fits(tensor) else tensor for tensor in alike]
    alike = [tensor for tensor in alike if tensor.ndim == output.ndim and tensor.shape[1] <= FEW_CHANNELS]
    return max(alike, key=Tensor.numel)[0].cpu() if alike else None
