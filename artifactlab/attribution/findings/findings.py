"""Causes that are no site's lattice: displaced features, seams, constant patterns, and what the input brings along."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from torch import Tensor

from artifactlab.attribution.findings.constant_patterns import constant_patterns
from artifactlab.attribution.findings.displacement import Features, misregistrations
from artifactlab.attribution.findings.origin import Origin, origin_of
from artifactlab.attribution.findings.seams import foreign_periods
from artifactlab.attribution.records import Finding
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.errors import CaptureError, ModelError
from artifactlab.models.calls import Call
from artifactlab.models.outputs import first_image
from artifactlab.models.runner import Runner
from artifactlab.scoring.severity import Severity


def coarse_causes(
    runner: Runner,
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    captured: Sequence[CapturedSite],
    before: Severity,
    period: tuple[int, int],
    data_range: float,
    features: Sequence[Features],
) -> tuple[Finding, ...]:
    """What no site's lattice explains: features that meet displaced, seams, and constant patterns.

    Args:
        runner: of the model, entered.
        calls: its inputs.
        outputs: what it makes of them.
        captured: its sites.
        before: severity of the outputs.
        period: the lattice that it was measured at.
        data_range: of the outputs.
        features: what meets, of the first calls; each takes a forward pass, turned.
    """
    shifted: tuple[Finding, ...] = ()
    with suppress(ModelError, CaptureError):  # not every model runs on a turned input
        plain = list(zip(features, outputs, strict=False))
        shifted = misregistrations(runner, calls[: len(plain)], plain)
    given = [first_image((call.args, call.kwargs)) for call in calls]
    seams = foreign_periods(
        outputs, [None if x is None else x.cpu() for x in given], [c.site.period for c in captured], data_range
    )
    constant: tuple[Finding, ...] = ()
    with suppress(ModelError, CaptureError):  # nor on a constant one
        constant = constant_patterns(runner, calls, outputs, before, period, data_range)
    # what a parameter draws at every so many pixels needs no tiles to explain it
    drawn = {finding.value for finding in constant}
    return shifted + tuple(seam for seam in seams if seam.value not in drawn) + constant


def brought_along(
    runner: Runner,
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    parts: Sequence[Severity],
    period: tuple[int, int],
    data_range: float,
) -> Origin | None:
    """What the inputs bring, see `artifactlab.attribution.findings.origin`; None where it cannot be told."""
    with suppress(ModelError, CaptureError):  # not every model runs on a changed input
        return origin_of(runner, calls, outputs, parts, period, data_range)
    return None
