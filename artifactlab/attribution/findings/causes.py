"""Causes that are no site's lattice: displaced features, seams, constant patterns, and what the input brings along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

from torch import Tensor

from artifactlab.attribution.findings.constant_patterns import constant_patterns
from artifactlab.attribution.findings.misregistration import Features, misregistrations
from artifactlab.attribution.findings.origin import Origin, origin_of
from artifactlab.attribution.findings.pictures import output_layout, pictures
from artifactlab.attribution.findings.seams import foreign_periods, spacings_of
from artifactlab.attribution.records import Finding
from artifactlab.attribution.repair.trials import Trials
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.attribution.sites.sizes import UnseenGrowth
from artifactlab.errors import CaptureError, ModelError


def coarse_causes(
    trials: Trials,
    captured: Sequence[CapturedSite],
    features: Sequence[Features],
    unseen: Sequence[UnseenGrowth] = (),
) -> tuple[Finding, ...]:
    """What no site's lattice explains: features that meet displaced, seams, and constant patterns.

    Args:
        trials: the inputs with the outputs as they are; runs the model.
        captured: the sites of the model.
        features: what meets at the merges, of the first inputs; each takes another forward pass.
        unseen: growth that is no site; its lattice is no seam.
    """
    runner, calls, outputs = trials.runner, trials.calls, trials.outputs
    displaced: tuple[Finding, ...] = ()
    with suppress(ModelError, CaptureError):  # not every model runs on a turned input
        pairs = list(zip(features, outputs, strict=False))
        displaced = misregistrations(runner, calls[: len(pairs)], pairs)
    seams = _seams(trials, captured, unseen)
    constant: tuple[Finding, ...] = ()
    with suppress(ModelError, CaptureError):  # nor on a constant one
        constant = constant_patterns(runner, calls, outputs, trials.before, trials.period, trials.data_range)
    # what a parameter draws at every so many pixels needs no tiles to explain it
    drawn = {finding.value for finding in constant}
    return displaced + tuple(seam for seam in seams if seam.value not in drawn) + constant


def _seams(trials: Trials, captured: Sequence[CapturedSite], unseen: Sequence[UnseenGrowth]) -> tuple[Finding, ...]:
    """Lines that neither the sites nor growth that was not seen explain, nor what went in."""
    layout = output_layout(trials.runner, trials.outputs[0])
    sizes = {tuple(output.shape[2:]) for output in trials.outputs}
    spacings = [spacing for size in sizes for found in captured for spacing in spacings_of(found.site, size)]
    inputs = [max(pictures(call, layout), key=_area, default=None) for call in trials.calls]
    explained = [*spacings, *(growth.period for growth in unseen)]
    given = [None if image is None else image.cpu() for image in inputs]
    return foreign_periods(trials.outputs, given, explained, trials.data_range, layout.names)


def _area(picture: Tensor) -> int:
    return math.prod(picture.shape[2:])


def artifact_origin(trials: Trials) -> Origin | None:
    """What the inputs bring, see `artifactlab.attribution.findings.origin`; None where it cannot be told."""
    with suppress(ModelError, CaptureError):  # not every model runs on a changed input
        return origin_of(
            trials.runner, trials.calls, trials.outputs, trials.severities, trials.period, trials.data_range
        )
    return None
