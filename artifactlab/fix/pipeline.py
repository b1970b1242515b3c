"""The whole fix: diagnose -> replace -> train -> diagnose again -> check."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.capture import unwrap
from artifactlab.diagnose import diagnose
from artifactlab.errors import FixError, InputError
from artifactlab.fix.distil import LEARNING_RATE, Distilled, distil
from artifactlab.fix.replace import Swap, replace_upsampler
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.randomness import random_states_kept
from artifactlab.records import Diagnosis, Site

Stage = Callable[[str], Callable[[int, int], None] | None]
"""told the name of a stage as it begins; returns what is to be called with (done, total) while it runs, or None"""


@dataclass(frozen=True)
class Fix:
    """The result of `fix_site`."""

    model: nn.Module
    """a copy of the model, fixed"""
    swap: Swap
    """what was replaced by what"""
    distilled: Distilled | None
    """how it was trained; None where it was not"""
    before: Diagnosis
    """of the old model"""
    after: Diagnosis
    """of the fixed one"""
    check: FixCheck
    """whether it worked"""
    warnings: tuple[str, ...]
    """what speaks against this fix"""


def fix_site(
    model: nn.Module,
    inputs: Any,
    site: str | None = None,
    mode: str = "interpolate_conv",
    *,
    distil_on: Any = None,
    options: dict[str, Any] | None = None,
    neighbours: bool = False,
    steps: int = 600,
    seconds: float = 600.0,
    learning_rate: float = LEARNING_RATE,
    lattice_weight: float = 2.0,
    output: str | int | None = None,
    data_range: float = 1.0,
    checkpoint: Path | None = None,
    seed: int = 0,
    stage: Stage = lambda name: None,
) -> Fix:
    """Replace the upsampler at a site of a copy of `model`, train it if there is something to train on, and check it.

    Args:
        model: any `nn.Module`; it stays as it is.
        inputs: as for `diagnose`; what the fix is judged on, best not what it is trained on.
        site: key or module name; default is the first offender.
        mode: what to replace it by, see `replace_upsampler`.
        distil_on: inputs to train the new layer on, see `distil`; without them it stays as it starts.
        options: further keyword arguments of the mode's class.
        neighbours: train the layers before and after it, too.
        steps, seconds: limits of the training.
        learning_rate: of the training; lower where it changes the image more than it helps.
        lattice_weight: how much the grid counts in it, see `distil`.
        output: key, attribute or index of the output to judge.
        data_range: distance between the output's darkest and brightest value.
        checkpoint: file that a training which was killed goes on from.
        seed: of everything random.
        stage: for progress, see `Stage`.

    Raises:
        InputError: if the inputs cannot be used, or no site or mode has that name.
        FixError: if no site is named and none is guilty, or the site cannot be swapped.
        ModelError, CaptureError: as from `diagnose`.

    >>> from artifactlab.demo.run import noisy_photo
    >>> from artifactlab.demo.unet import broken
    >>> fixed = fix_site(broken(), noisy_photo()[..., :256, :256])
    >>> fixed.swap.replacement.paths, fixed.check.energy_drop > 0.9
    (('dec.up2',), True)
    """
    settings: dict[str, Any] = {"output": output, "data_range": data_range, "seed": seed}
    before = diagnose(model, inputs, progress=stage("diagnosing"), **settings)
    chosen = choose_site(before, site)
    fixed = copy.deepcopy(unwrap(model))
    with random_states_kept(seed):
        swap = replace_upsampler(fixed, chosen, mode, **(options or {}))
    distilled = None
    if distil_on is not None:
        limits: dict[str, Any] = {"neighbours": neighbours, "steps": steps, "seconds": seconds}
        limits |= {"learning_rate": learning_rate, "lattice_weight": lattice_weight}
        progress = stage("training")
        distilled = distil(
            fixed, model, swap, distil_on, checkpoint=checkpoint, progress=progress, **limits, **settings
        )
    after = diagnose(fixed, inputs, progress=stage("diagnosing again"), **settings)
    check = check_fix(model, fixed, chosen, inputs, **settings)
    return Fix(fixed, swap, distilled, before, after, check, _warnings(before, chosen))


def choose_site(diagnosis: Diagnosis, wanted: str | None) -> Site:
    """The site of that key or module name; the first offender where none is wanted.

    Raises:
        FixError: if there is no offender, or the name fits several sites.
        InputError: if it fits none.
    """
    if wanted is None:
        if not diagnosis.offenders:
            raise FixError(f"{diagnosis.verdict} Name a site to replace it all the same")
        first = diagnosis.joint[0].key if diagnosis.joint else diagnosis.offenders[0].site.key
        return next(site.site for site in diagnosis.sites if site.site.key == first)
    sites = [diagnosed.site for diagnosed in diagnosis.sites]
    found = [site for site in sites if site.key == wanted] or [site for site in sites if site.name == wanted]
    found = found or [site for site in sites if site.name.startswith(f"{wanted}.")]
    if not found:
        raise InputError(f"no site {wanted!r}; the model has {', '.join(site.key for site in sites)}")
    if len(found) > 1:
        raise FixError(f"{wanted} holds {len(found)} sites; name one: {', '.join(site.key for site in found)}")
    return found[0]


def _warnings(before: Diagnosis, chosen: Site) -> tuple[str, ...]:
    """What the first diagnosis says against replacing this site."""
    diagnosed = next(site for site in before.sites if site.site == chosen)
    said = {
        "compensated": f"{chosen.key} is compensated: later layers cancel what it draws, and replacing it undoes that.",
        "harmless": f"{chosen.key} is harmless: what it draws does not reach the output.",
        "clean": f"{chosen.key} is clean: it draws nothing.",
    }
    others = [site.site.key for site in before.offenders if site.site != chosen]
    found = [said[diagnosed.verdict]] if diagnosed.verdict in said else []
    if others:
        found.append(f"Other offenders stay: {', '.join(others)}; fix them one after the other.")
    return tuple(found)
