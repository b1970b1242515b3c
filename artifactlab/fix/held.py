"""Whether the architecture that a model came in can hold its fix: the folded model beside the fixed one, on its inputs.

Between the two is allowed what is allowed between the fixed model and the old one, and a cure must stay one.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix.back import Source
from artifactlab.fix.fold import fold
from artifactlab.fix.likeness import SAME_IMAGE_DB, inside
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.replace_sites import replace_sites
from artifactlab.fix.replacement import Replacement
from artifactlab.fix.verify import check_fix
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap


@dataclass(frozen=True)
class Held:
    """The architecture of the original with the weights that hold a fix."""

    model: nn.Module
    """The original's architecture, fixed."""
    is_exact: bool
    """Whether it does the same as the fixed model but for the border."""
    psnr: float
    """PSNR in dB between the outputs of the two, without the border."""

    @property
    def likeness(self) -> str:
        """How like the fixed model it is, in words that follow a comma."""
        if math.isinf(self.psnr):
            return "the same"
        if self.is_exact:
            return "the same; only the image's border differs"
        return f"the nearest that the old layers can do, {self.psnr:.1f} dB from the fixed model"


def held(made: Fix, source: Source) -> Held:
    """The fix as weights of the original's own layers.

    Raises:
        FixError: if they cannot hold it; the clause says why.
        NotHeld: if that is because the PSNR is too low, or what was fixed comes back.
    """
    earlier = [one for one in source.earlier if isinstance(one, Replacement)]
    if made.post or len(earlier) < len(source.earlier):
        raise FixError("a filter stands behind the output, where the model has no layer")
    found = fold(source.model, made.model, [*earlier, *made.replacements])
    psnr = _psnr(found.model, made, source)
    if not found.is_exact:
        if not psnr >= SAME_IMAGE_DB:
            better = _what_fits(made, source)
            raise NotHeld(f"{psnr:.1f} dB from it at best, and {SAME_IMAGE_DB:.0f} dB are needed{better}", psnr)
        _refuse_grid(found.model, made, source, psnr)
    return Held(found.model, found.is_exact, psnr)


class NotHeld(FixError):
    """A fold that is too far from the fixed model."""

    def __init__(self, message: str, psnr: float) -> None:
        super().__init__(message)
        self.psnr = psnr


def _what_fits(made: Fix, source: Source) -> str:
    """Another new layer that the old ones would hold, in words: the smallest after a bilinear resize is what often is.

    A transposed convolution of twice the stride, or a nearest resize with a 3x3 convolution, is a bilinear resize and a
    1x1 one for some weights.
    """
    options: dict[str, Any] = {"kernel_size": 1}
    if source.earlier or all(one.options.get("kernel_size") == 1 for one in made.replacements):
        return ""
    smaller = full_copy(unwrap(source.model))
    try:
        replaced = replace_sites(smaller, _sites(made), "interpolate_conv", options)
        fits = fold(source.model, smaller, [swap.replacement for swap in replaced.swaps]).is_exact
    except (FixError, InputError):
        return ""
    return f"; it could with --options {json.dumps(options)!r}" if fits else ""


def _refuse_grid(folded: nn.Module, made: Fix, source: Source, psnr: float) -> None:
    """Raise a NotHeld where the fix is a cure and the folded model is none."""
    if not made.check.cured:
        return
    judging = replace(source.judging, data_range=made.before.config.data_range)
    check = check_fix(source.model, folded, _sites(made), list(source.calls), judging=judging)
    if not check.cured:
        raise NotHeld(f"at {psnr:.1f} dB from it they are no fix: {check.verdict.lower().rstrip('.')}", psnr)


def _sites(made: Fix) -> list[Site]:
    """The sites that were replaced, as they were in the old model."""
    return [one.site for one in made.before.sites if one.site.key in made.check.sites]


def _psnr(folded: nn.Module, made: Fix, source: Source) -> float:
    """Between the outputs of the two on the inputs that the fix was judged on, without the border."""
    scale, period = made.before.config.data_range, made.check.period
    outputs = [_outputs(model, source) for model in (folded, made.model)]
    errors = [inside((a - b) / scale, period).double().square() for a, b in zip(*outputs, strict=True)]
    error = float(torch.cat([one.flatten() for one in errors]).mean())
    return -10 * math.log10(error) if error else math.inf


def _outputs(model: nn.Module, source: Source) -> list[Tensor]:
    with Runner(unwrap(model), source.judging.output, source.judging.seed) as runner:
        return [runner.run(call).cpu().float() for call in source.calls]
