"""What a diagnosis leaves open: how much of the artifact another layer, or other weights, would leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix.may_stay import Change
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.replace_sites import replace_sites
from artifactlab.fix.replacement import CURES
from artifactlab.fix.verify import check_fix
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.calls import as_calls
from artifactlab.models.random_state import random_states_kept
from artifactlab.models.wrappers import unwrap


@dataclass(frozen=True)
class TrialSwap:
    """One offender changed by itself on a copy of the model, without training."""

    site: str
    """The key of the site."""
    mode: str
    """What was tried, one of `CURES`."""
    severity: Change | None
    """The severity of what the site draws, before and after; None where it could not be tried."""
    psnr: float | None
    """The PSNR in dB to the old output, lattice and border aside; None where it could not be tried."""
    refused: str = ""
    """Why it could not be tried; empty where it was."""

    def __str__(self) -> str:
        if self.severity is None or self.psnr is None:
            return f"{self.mode} at {self.site} cannot be tried: {self.refused}"
        before, after = self.severity
        likeness = "at the same output" if math.isinf(self.psnr) else f"at {self.psnr:.1f} dB to the old output"
        return f"{self.mode} at {self.site} would leave severity {after:.2f} of {before:.2f}, {likeness}"


def trial_swaps(
    model: nn.Module, diagnosis: Diagnosis, inputs: Any, modes: Sequence[str] = ("bilinear",)
) -> tuple[TrialSwap, ...]:
    """Change each offender of a diagnosis by itself, and measure what the output still shows.

    Args:
        model: the one that was diagnosed; it stays as it is.
        diagnosis: of this model.
        inputs: those that it was diagnosed on.
        modes: what is tried, modes of `fix_site`; "bilinear", which fits nothing, is the floor for all others.

    Raises:
        InputError: if there is no such mode.

    >>> import artifactlab
    >>> from artifactlab.demo.run import noisy_photo
    >>> from artifactlab.demo.unet import broken
    >>> model, photo = broken(), noisy_photo()
    >>> for trial in trial_swaps(model, artifactlab.diagnose(model, photo), photo):
    ...     print(trial.site, trial.severity[1] < 0.1 < 1 < trial.severity[0])
    dec.up2/conv_transpose2d#0 True
    """
    for mode in modes:
        if mode not in CURES:
            raise InputError(f"unknown mode {mode!r}; expected one of {', '.join(CURES)}")
    config = diagnosis.config
    judging = JudgingOptions(output=config.output, data_range=config.data_range, seed=config.seed)
    calls = list(as_calls(inputs))
    found = []
    for offender in diagnosis.offenders:
        for mode in modes:
            key, made = offender.site.key, full_copy(unwrap(model))
            try:
                with random_states_kept(judging.seed):
                    replace_sites(made, [offender.site], mode, {})
                check = check_fix(model, made, offender.site, calls, judging=judging)
            except (FixError, InputError, ModelError) as error:
                found.append(TrialSwap(key, mode, None, None, str(error)))
                continue
            found.append(TrialSwap(key, mode, check.severity, check.psnr))
    return tuple(found)
