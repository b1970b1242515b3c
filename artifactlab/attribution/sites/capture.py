"""Find the sites of a model while it runs, and what each one's activation shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from artifactlab.attribution.sites.evidence import check_finite, mean_evidence, measure_evidence
from artifactlab.attribution.sites.lattice_paths import period_of
from artifactlab.attribution.sites.output_axes import directions_of, layout_of
from artifactlab.attribution.sites.records import CapturedSite, Evidence, Follows, Site, SiteKey
from artifactlab.attribution.sites.sizes import UnseenGrowth
from artifactlab.attribution.sites.upsampling import Growth, nominal_scale
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.errors import CaptureError, ModelError
from artifactlab.models.layout import Layout
from artifactlab.models.outputs import pick_tensor


@dataclass
class _Observed:
    """A site, and what is known of it from all passes."""

    growth: Growth
    line: str | None
    layer: tuple[Any, ...]
    """What its calls have in common with those of the same layer."""
    measured: bool
    """Whether its evidence is measured, or taken from an earlier call of the layer."""
    evidence: list[Evidence] = field(default_factory=list)
    period: tuple[float, ...] | None = None
    followed_by: Follows = "layers"
    reaches_output: bool = False


class Capture:
    """The sites seen so far, with their evidence; what `capture` yields.

    Of a layer that runs many times in a pass, calls 1, 4, 16, ... are measured, and speak for those up to the next one.

    Args:
        every_call: measure them all.

    >>> import torch
    >>> model = nn.Upsample(scale_factor=2)
    >>> with capture(model) as found:
    ...     _ = model(torch.rand(1, 3, 32, 32))
    >>> [captured.site.key for captured in found.sites]
    ['interpolate#0']
    """

    def __init__(self, every_call: bool = False) -> None:
        self._every_call = every_call
        self._observed: dict[SiteKey, _Observed] = {}
        self._runs: Counter[tuple[Any, ...]] = Counter()
        self._unseen: dict[UnseenGrowth, None] = {}

    def __repr__(self) -> str:
        names = list(dict.fromkeys(key.operation for key in self._observed))
        return f"Capture({len(names)} layers: {', '.join(names)})" if names else "Capture(nothing yet)"

    @property
    def sites(self) -> list[CapturedSite]:
        """Sites in the order they ran, evidence averaged over the forward passes.

        Raises:
            CaptureError: if the model ran without growing anything, or did not run.
        """
        if not self._observed:
            raise CaptureError(
                "no upsampling was seen: what ran enlarges nothing, or nothing that can be watched (with a capture,"
                " check that the model ran inside its `with` block)"
            )
        sites: list[CapturedSite] = []
        latest: dict[tuple[Any, ...], Evidence] = {}
        reaching = {observed.layer for observed in self._observed.values() if observed.reaches_output}
        for key, observed in self._observed.items():
            if observed.measured:
                latest[observed.layer] = mean_evidence(observed.evidence)
            # what stays within is an inner use of it, such as a map of where to look
            if observed.layer in reaching or not reaching:
                sites.append(CapturedSite(_site(key, observed), latest[observed.layer]))
        return sites

    @property
    def layers(self) -> list[CapturedSite]:
        """The same, all calls of a layer as one: those of a module, or of a line of code, whose period is the same.

        A sampler runs a net many times, an ensemble turns its input, a large image is cut into tiles: the layer that is
        to be repaired is one.
        """
        together: dict[tuple[Any, ...], list[CapturedSite]] = {}
        for found in self.sites:
            site = found.site
            line = self._observed[site.first_key].line
            # of a module of torch a second call is the same layer, whatever its size
            period = None if line is None and site.op != "module" else site.period
            together.setdefault((site.name, site.op, line, period), []).append(found)
        return [_layer(calls) for calls in together.values()]

    @property
    def unseen(self) -> tuple[UnseenGrowth, ...]:
        """What enlarged images on their way to an output and was no site, by the sizes of what was seen."""
        return tuple(self._unseen)

    def visit(self, visit: Visit) -> None:
        """Measure the activation of one `visit` to a site, and let it go.

        Raises:
            CaptureError: if it holds NaN or Inf; every call is checked for those.
        """
        growth = visit.growth
        check_finite(growth.output, visit.key.operation)
        observed = self._observed.get(visit.key) or self._first_observed(visit)
        if observed.measured:
            observed.evidence.append(measure_evidence(growth.output, growth.scale))
        observed.growth = growth.without_tensors()
        self._observed[visit.key] = observed

    def _first_observed(self, visit: Visit) -> _Observed:
        layer = visit.layer
        self._runs[layer] += 1
        return _Observed(visit.growth, visit.line, layer, self._every_call or _is_power_of_four(self._runs[layer]))

    def finish(
        self, result: Any, wiring: Wiring, output: str | int | None = None, layout: Layout | None = None
    ) -> None:
        """Note how what a pass returned came from each site, by the `wiring` of that pass: periods follow from it.

        Args:
            result: all that the model returned.
            wiring: of the pass.
            output: which part of it is judged; the likeliest by default.
            layout: what the axes of that are; told by how it was made where it is None.
        """
        reached = wiring.reached(result)
        for key, observed in self._observed.items():
            observed.reaches_output |= reached is None or key in reached
        try:
            tensor = pick_tensor(result, output)
        except ModelError:
            return
        layout = layout or layout_of(tensor, wiring.axes(tensor))
        if layout.fits(tensor):
            self._note_paths(tensor, wiring, layout)

    def _note_paths(self, tensor: Tensor, wiring: Wiring, layout: Layout) -> None:
        directions, size = directions_of(layout, wiring.axes(tensor)), layout.images(tensor).shape[2:]
        paths = wiring.paths(tensor)
        self._unseen |= dict.fromkeys(wiring.unseen(tensor))
        for key, observed in self._observed.items():
            path = paths.get(key)
            if path:
                along = period_of(path)
                observed.period = tuple(1 if k is None else along[k] for k in directions)
            elif observed.period is None:
                observed.period = _period_by_size(observed.growth, size)
            if path and path.pointwise:
                observed.followed_by = "bounding" if path.bounded else "pointwise"


@contextmanager
def capture(model: nn.Module) -> Iterator[Capture]:
    """Measure every upsampling site of `model` while it runs inside the `with` block.

    The model runs exactly as it would without: same outputs, gradients, random numbers, hooks and train flags. Nothing
    but a few numbers per site is kept. What counts as a pass is a call of a module of the model; where a method calls
    several (`vae.decode(z)`), each outermost one is a pass of its own. Fused kernels that torch uses only without hooks
    (`nn.TransformerEncoder`) give way to the unfused ones, which round differently.

    Args:
        model: any `nn.Module`; DataParallel and `torch.compile` wrappers are looked through.

    Yields:
        A `Capture`, whose `sites` list each site with its scores.

    Raises:
        ModelError: if the model is a ScriptModule or FSDP-wrapped.
        CaptureError: from `.sites`, if nothing grew; from the run, if an activation holds NaN or Inf.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Upsample(scale_factor=2))
    >>> with capture(model) as cap:
    ...     _ = model(torch.rand(1, 3, 64, 64))
    >>> [found.site.key for found in cap.sites]
    ['1/interpolate#0']
    """
    found = Capture()
    with watch(model, found.visit, found.finish):
        yield found


def _site(key: SiteKey, observed: _Observed) -> Site:
    growth = observed.growth
    return Site(
        name=key.name,
        op=key.op,
        call=key.call,
        scale=growth.scale,
        period=observed.period or growth.scale,
        in_shape=growth.in_shape,
        out_shape=growth.out_shape,
        calls=(key.call,),
        followed_by=observed.followed_by,
    )


def _layer(calls: Sequence[CapturedSite]) -> CapturedSite:
    """All calls of a layer, named after its first; its period is the smallest that holds theirs."""
    first = calls[0].site
    layer = replace(first, calls=tuple(found.site.call for found in calls))
    return CapturedSite(layer, mean_evidence([found.evidence for found in calls]))


def _period_by_size(growth: Growth, size: Sequence[int]) -> tuple[float, ...]:
    """The period of a site that the output was not seen to come from: its scale, times all growth after it."""
    own = list(zip(growth.scale, growth.out_shape[2:], strict=True))[-len(size) :]
    # a direction that the site does not grow has no lattice of the site's
    after = zip(own, size[len(size) - len(own) :], strict=True)
    periods = (nominal_scale(scale * total / before) if scale != 1 else 1 for (scale, before), total in after)
    return (*[1] * (len(size) - len(own)), *periods)


def _is_power_of_four(count: int) -> bool:
    """1, 4, 16, 64, ..."""
    return count.bit_count() == 1 and count.bit_length() % 2 == 1
