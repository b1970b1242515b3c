"""Read defects off a decoder's weights and structure, without data: uneven overlap, unequal phases, bad resizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import zip_longest

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from artifactlab.errors import ModelError
from artifactlab.lint.flow import directions_at, feeds_shuffle, follows_upsampler, keeps_apart, reaches_output, scale_at
from artifactlab.lint.graph import Op, module_graph
from artifactlab.lint.ops import Convolution, Resize, Shuffle, grows
from artifactlab.lint.phases import (
    Sizes,
    shares_of_directions,
    shuffled_sums,
    subkernels,
    taps_per_phase,
    transposed_sums,
    unequal_share,
)
from artifactlab.lint.rules import (
    ALIGN_CORNERS,
    BARE_NEAREST,
    BORDER,
    NO_ICNR,
    NOT_SEEN,
    RULES,
    UNEQUAL_SHUFFLE,
    UNEQUAL_SUMS,
    UNEVEN_OVERLAP,
    Level,
    LintFinding,
    Rule,
)
from artifactlab.lint.wording import along, by, per_direction, where_phases_differ
from artifactlab.models.trained import looks_trained
from artifactlab.models.wrappers import unwrap

TRAINED_TOLERANCE = 0.05
"""Share of unequal phases from which a trained layer is named: a twentieth of a flat answer, as no training leaves
phases exactly equal; `benchmarks/lint.py` lists what trained layers read."""
INITIAL_TOLERANCE = 0.01
"""Share of unequal phases from which an untrained layer is named; its phases can be made equal but for rounding."""
WARNING_SHARE = 0.6
"""Share of unequal phases from which a finding is a warning; it lies between trained layers whose output shows no grid
and those that draw one which the next layers have to cancel, and `benchmarks/lint.py` lists both."""
NEEDS_TRAINED = frozenset({UNEQUAL_SUMS.name, UNEQUAL_SHUFFLE.name, NO_ICNR.name})
"""Names of the rules whose findings depend on whether the weights are trained."""


def lint(model: nn.Module, *, trained: bool | None = None) -> tuple[LintFinding, ...]:
    """Defects that can be read off a decoder's weights and structure alone.

    It says what a layer would draw; whether that reaches the output, only `artifactlab.diagnose` can say. Signals,
    images and volumes are looked at alike: a pixel is a sample or a voxel there, and a signal's grid is a tone.

    Args:
        model: any `nn.Module`; its forward is traced without data, and it is left as it was.
        trained: whether its weights are trained. Pixel shuffles of an untrained model are held to ICNR. None is a
            guess, see `looks_trained`, and each finding that depends on it says so.

    Returns:
        Warnings first, then notes; each in the order of `RULES`, the largest departure first. What could not be read is
        itself a finding, of the rule `not-seen`.

    Raises:
        ModelError: if the model is no `nn.Module`, a ScriptModule, FSDP-wrapped, not initialised
            yet (lazy, meta device), cannot be copied, or holds NaN or Inf in a weight that is read.

    Source: Odena et al. 2016, Deconvolution and Checkerboard Artifacts; Aitken et al. 2017, arXiv:1707.02937; Sugawara
    et al. 2019, Checkerboard artifacts free convolutional neural networks.

    >>> uneven = nn.Sequential(nn.ConvTranspose2d(8, 3, 3, stride=2), nn.Sigmoid())
    >>> [(found.site, found.rule) for found in lint(uneven)]
    [('0', 'uneven-overlap'), ('0', 'unequal-sums'), ('0', 'border')]
    """
    model = unwrap(model)
    _refuse_unreadable(model)
    taken_for_trained = looks_trained(model) if trained is None else trained
    graph = module_graph(model)
    found = [finding for op in graph.ops for finding in _findings_at(op, taken_for_trained)]
    found += [_finding(NOT_SEEN, site, (), reason) for site, reason in graph.untraced.items()]
    if trained is None:
        found = [_with_guess(finding, taken_for_trained) for finding in found]
    return tuple(sorted(_once_each(found), key=_gravest_first))


def _findings_at(op: Op, trained: bool) -> Iterator[LintFinding]:
    for check in _CHECKS:
        yield from check(op, trained)


def _with_guess(finding: LintFinding, trained: bool) -> LintFinding:
    """The finding with the guess that it depends on in its detail."""
    if finding.rule not in NEEDS_TRAINED:
        return finding
    return replace(finding, detail=f"{finding.detail} (the weights look {'trained' if trained else 'untrained'})")


def _refuse_unreadable(model: nn.Module) -> None:
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise ModelError(f"{name} is not initialised yet; run the lazy model once before linting it")
        if tensor.is_meta:
            raise ModelError(f"{name} is on the meta device and has no values; load the weights before linting")


def _once_each(found: Iterable[LintFinding]) -> list[LintFinding]:
    """A module that is called twice has its defects once."""
    return list({(finding.site, finding.rule): finding for finding in found}.values())


def _gravest_first(finding: LintFinding) -> tuple[bool, int, float]:
    order = [rule.name for rule in RULES].index(finding.rule)
    departure = max(finding.number, default=0.0)
    return finding.level == "note", order, departure if finding.rule == UNEVEN_OVERLAP.name else -departure


# --- one check per rule: a call in, its findings out ---


def _uneven_overlap(op: Op, trained: bool) -> Iterator[LintFinding]:
    if (conv := _upsampling(op)) is None:
        return
    axes = [taps_per_phase(*axis) for axis in zip(conv.kernel, conv.stride, conv.dilation, strict=True)]
    if any(min(counts) != max(counts) for counts in axes):
        taps = per_direction([":".join(map(str, counts)) for counts in axes])
        detail = f"kernel {by(conv.kernel)}, stride {by(conv.stride)}: {taps} taps per phase"
        yield _finding(UNEVEN_OVERLAP, op.site, tuple(min(counts) / max(counts) for counts in axes), detail)


def _unequal_sums(op: Op, trained: bool) -> Iterator[LintFinding]:
    if (conv := _upsampling(op)) is None:
        return
    sums = transposed_sums(conv.weight, conv.stride, conv.dilation)
    share = _readable(unequal_share(sums), op)
    if share > _tolerance(trained):
        yield _finding(
            UNEQUAL_SUMS, op.site, (share,), _difference("kernel sums", sums, conv.stride, share), _level(share)
        )


def _unequal_shuffle(op: Op, trained: bool) -> Iterator[LintFinding]:
    if (shuffled := _shuffled(op)) is None:
        return
    conv, shuffle = shuffled
    if not trained and _initial_difference(op, conv, shuffle) > INITIAL_TOLERANCE:
        return  # no-icnr says so
    sources = shuffle.channels(conv.channels)
    sums = shuffled_sums(conv.weight, conv.bias, sources)
    share = _readable(unequal_share(sums), op)
    if share > _tolerance(trained):
        weights = unequal_share(shuffled_sums(conv.weight, None, sources))
        what = "biases" if weights <= _tolerance(trained) else "sub-kernel sums"
        detail = _difference(what, sums, shuffle.factor, share)
        yield _finding(UNEQUAL_SHUFFLE, op.site, (share,), detail, _level(share))


def _no_icnr(op: Op, trained: bool) -> Iterator[LintFinding]:
    if (shuffled := _shuffled(op)) is None or trained:
        return
    conv, shuffle = shuffled
    share = _initial_difference(op, conv, shuffle)
    if share > INITIAL_TOLERANCE:
        enlarged = along(shuffle.factor)
        detail = f"the {shuffle.phases} sub-kernels{enlarged} of each output channel differ by {share:.0%}"
        yield _finding(NO_ICNR, op.site, (share,), detail, _level(share))


def _align_corners(op: Op, trained: bool) -> Iterator[LintFinding]:
    if isinstance(op.spec, Resize) and op.spec.align_corners and grows(op.spec):
        scale = scale_at(op) or ()
        detail = "align_corners=True" + (f" at scale {by(scale)}" if scale else "")
        yield _finding(ALIGN_CORNERS, op.site, tuple((factor - 1) / 2 for factor in scale), detail)


def _bare_nearest(op: Op, trained: bool) -> Iterator[LintFinding]:
    if not (isinstance(op.spec, Resize) and op.spec.nearest and grows(op.spec)):
        return
    scale, directions = scale_at(op), directions_at(op)
    ways = (
        [index for index, factor in enumerate(scale or ()) if factor > 1] if directions == len(scale or ()) else [None]
    )
    bare = [way for way in ways if reaches_output(op, partial(keeps_apart, direction=way, directions=directions))]
    if bare:
        left = along([float(1 + (way in bare)) for way in range(directions)]) if directions and None not in bare else ""
        yield _finding(
            BARE_NEAREST, op.site, scale or (), f"no convolution wider than one pixel{left} on the way to the output"
        )


def _border(op: Op, trained: bool) -> Iterator[LintFinding]:
    conv, shuffle = op.spec, feeds_shuffle(op)
    if (transposed := _upsampling(op)) is not None:
        # of the frame that misses taps, `padding` pixels are cut off
        geometry = zip(transposed.extent, transposed.stride, transposed.padding, transposed.output_padding, strict=True)
        frame = [max(0, extent - stride - cut + more) for extent, stride, cut, more in geometry]
        what = "a transposed convolution"
    elif isinstance(conv, Convolution) and not conv.transposed and (shuffle or follows_upsampler(op)):
        factors = shuffle.factor if shuffle else ()
        frame = [pixels * factor for pixels, factor in zip_longest(conv.padding, factors, fillvalue=1)]
        what = "a convolution that feeds a pixel shuffle" if shuffle else "a convolution after an upsampler"
    else:
        return
    if any(frame):
        yield _finding(BORDER, op.site, frame, f"zeros beyond the border of {what}")


_CHECKS: tuple[Callable[[Op, bool], Iterator[LintFinding]], ...] = (
    _uneven_overlap,
    _unequal_sums,
    _unequal_shuffle,
    _no_icnr,
    _align_corners,
    _bare_nearest,
    _border,
)


def _upsampling(op: Op) -> Convolution | None:
    """The transposed convolution that the call is, if it has a stride and so a lattice."""
    return op.spec if isinstance(op.spec, Convolution) and grows(op.spec) else None


def _shuffled(op: Op) -> tuple[Convolution, Shuffle] | None:
    """The convolution that the call is and the pixel shuffle that it feeds."""
    shuffle = feeds_shuffle(op)
    return (op.spec, shuffle) if shuffle and isinstance(op.spec, Convolution) else None


def _initial_difference(op: Op, conv: Convolution, shuffle: Shuffle) -> float:
    return _readable(unequal_share(subkernels(conv.weight, shuffle.channels(conv.channels))), op)


def _difference(what: str, sums: Tensor, factors: Sizes, share: float) -> str:
    """By how much phases differ, and along which direction."""
    where = where_phases_differ(shares_of_directions(sums, factors), factors)
    return f"{what} of the {math.prod(factors)} phases{along(factors)} differ by {share:.0%}{where}"


def _readable(share: float, op: Op) -> float:
    if math.isnan(share):
        raise ModelError(f"{op.site} holds NaN or Inf in its weight or bias; the training has diverged")
    return share


def _tolerance(trained: bool) -> float:
    return TRAINED_TOLERANCE if trained else INITIAL_TOLERANCE


def _level(share: float) -> Level:
    return "warning" if share >= WARNING_SHARE else "note"


def _finding(rule: Rule, site: str, number: Iterable[float], detail: str, level: Level | None = None) -> LintFinding:
    numbers = tuple(float(value) for value in number)
    return LintFinding(site, rule.name, level or rule.level, numbers, rule.unit, detail, rule.why, rule.advice)
