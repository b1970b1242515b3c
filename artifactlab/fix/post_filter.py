"""`--post`: a small filter behind the output, made of a model's outputs, and written down so that it loads again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix.common_period import common_period, holds
from artifactlab.fix.lattice_filter_fit import fitted_taps
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.post_filtered import LatticeFilter, PostFiltered
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.periods import lattice_period

POST = "post"
"""The entry of a file's header that says which output is filtered."""
PERIODS = 1
"""How far the filter reaches to each side: of 11 development cases one period cured 8, one and a half 6 and two 5, as a
longer filter has narrower notches, beside which stair-steps stay (docs/decisions.md, *A filter behind the output*)."""
MAX_TAPS = 4000
"""Taps up to which they are a small system of equations: periods up to 31 in images, up to 7 in volumes."""
MAX_CALLS = 8
"""Inputs that the filter is made of: it has some hundred weights, and each output some ten thousand pixels."""
PLAIN = ("NCHW", "NHW", "NCDHW", "NCTHW", "NDHW", "NCL", "NL")
"""Layouts whose directions are the last axes, where the filter looks for them."""


@dataclass(frozen=True)
class PostFilter:
    """A filter behind a model's output; enough to put one of these sizes behind another copy of the model."""

    output: str
    """Which of the tensors that the model returns is filtered, as `--output` has it."""
    period: tuple[int, ...]
    """The period of the lattice that it takes out, along each axis of the output, 1 where there is none."""
    sizes: tuple[int, ...]
    """Its taps along each axis."""

    def __str__(self) -> str:
        size, period = ("x".join(map(str, numbers)) for numbers in (self.sizes, self.period))
        return f"Filtered {self.output} by {size} taps with zeros at the lattice of period {period}; no layer changed."

    def build(self) -> LatticeFilter:
        """A filter of these sizes that does nothing yet."""
        return LatticeFilter(self.sizes)

    def install(self, model: nn.Module, new: nn.Module) -> PostFiltered:
        """The model with `new` behind its output."""
        return PostFiltered(model, new, self.output)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the header of a weights file."""
        return {POST: self.output, "period": list(self.period), "sizes": list(self.sizes)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PostFilter:
        """The inverse of `to_dict`, from its `data`.

        Raises:
            InputError: if something is missing, of another kind, or larger than any filter.
        """
        try:
            made = cls(str(data[POST]), tuple(map(int, data["period"])), tuple(map(int, data["sizes"])))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"this is no filter that artifactlab wrote: {error!r:.200}") from error
        are_odd = all(size > 0 and size % 2 for size in made.sizes)
        if not 1 <= len(made.sizes) <= 3 or not are_odd or math.prod(made.sizes) > MAX_TAPS:
            raise InputError(f"this is no filter that artifactlab wrote: sizes {made.sizes!r:.200}")
        return made


def post_filter(
    model: nn.Module, sites: Sequence[Site], calls: Sequence[Call], judging: JudgingOptions
) -> tuple[PostFilter, PostFiltered]:
    """The model, itself and no copy, with a filter behind its output that takes out what these sites draw.

    Args:
        model: the user's own module, without wrappers.
        sites: what `diagnose` found.
        calls: inputs of which the filter is made, eight at most.
        judging: which output is filtered.

    Raises:
        FixError: if the output is too small for the lattice, or its lattice too wide for a filter, or it is no picture
            of real numbers.
    """
    with Runner(model, judging.output, judging.seed) as runner:
        outputs = [runner.run(call).cpu().float() for call in calls[:MAX_CALLS]]
        returned = runner.judged
    space = tuple(outputs[0].shape[2:])
    period = common_period([lattice_period(site.period) for site in sites], holds(space))
    if max(period) == 1:
        raise FixError(f"an output of {space} is too small to take a grid of these periods out")
    kind, axes = returned.values.kind, returned.layout.axes
    if axes not in PLAIN or kind != "numbers":
        raise FixError(f"{returned.path} holds {kind} of layout {axes}; a filter is for numbers of {', '.join(PLAIN)}")
    sizes = tuple(2 * PERIODS * p + 1 if p > 1 else 1 for p in period)
    if math.prod(sizes) > MAX_TAPS:
        raise FixError(
            f"a filter for the period {'x'.join(map(str, period))} has {math.prod(sizes)} taps, more than {MAX_TAPS};"
            " change the layer instead, see --suggest"
        )
    made = PostFilter(returned.path, period, sizes)
    filter_ = made.build()
    with torch.no_grad():
        filter_.taps.copy_(fitted_taps(outputs, period, sizes, judging.data_range or 1.0)[None, None])
    weights = [one for one in model.parameters() if one.is_floating_point()]
    if weights:
        filter_.to(weights[0].device)
    return made, made.install(model, filter_)
