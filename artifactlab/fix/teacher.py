"""What replaced sites are to be trained on: the old model's own output, with the lattice of these sites taken out.

The target takes from two passes of the old model what each is right about. Off the lattice's frequencies it is the
unrepaired output, so that the image stays the same; on them it is the output with the sites repaired as `diagnose`
repairs them, less what keeps step with the lattice over many blocks even then. Tried before: the unrepaired output with
the lattice notched out, which at periods of 4 and 8 takes fine texture along; the repaired output alone, which later
layers shift where they had learned to expect a grid. Stair-steps lie beside those frequencies as well, so at last the
spectral images that are left are taken out: without that, a layer with a kernel per phase learned them again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.attribution.repair.trials import repaired_output
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import Site
from artifactlab.attribution.sites.watch import watch
from artifactlab.errors import FixError
from artifactlab.fix.common_period import common_period, holds
from artifactlab.fix.swap import Swap
from artifactlab.metrics import remove_spectral_images
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.periods import lattice_period

RESIDUAL_BLOCKS = 7
"""Blocks a side over which what remains of a grid after the repair is told from texture, more than the repair's own: on
a trained style net the repair leaves two thirds of the grid (docs/decisions.md, *What a fix is trained on*)."""


@dataclass(frozen=True)
class Drawn:
    """What the old model draws where it was replaced, as one pass shows it."""

    sites: list[Site]
    """The sites that the replaced modules make."""
    periods: list[tuple[int, ...]]
    """The period of each site along each axis of the output."""
    size: tuple[int, ...]
    """The size of the output."""


def drawn_at(runner: Runner, swaps: Sequence[Swap], call: Call) -> Drawn:
    """The sites of an old model that were replaced, in one forward pass.

    Raises:
        FixError: if there are none where a swap says.
        ModelError: if the model fails.
    """
    found = Capture()
    with watch(runner.model, found.visit, found.finish):
        output = runner.run(call)
    all_sites = [captured.site for captured in found.sites]
    sites: list[Site] = []
    periods = []
    for swap in swaps:
        own = sites_at(all_sites, swap.replacement.paths)
        if not own:
            keys = ", ".join(site.key for site in all_sites)
            raise FixError(f"the old model draws no lattice at {swap.replacement.site}; it has {keys}")
        sites += [site for site in own if site not in sites]
        # of all: a module that runs at two sites, or enlarges in two ways, draws a lattice at each
        periods += [lattice_period(site.period) for site in own]
    return Drawn(sites, periods, tuple(output.shape[2:]))


def teacher_outputs(
    old: nn.Module,
    swaps: Sequence[Swap],
    calls: Sequence[Call],
    output: str | int | None = None,
    seed: int = 0,
    until: float | None = None,
    data_range: float = 1.0,
) -> tuple[list[Tensor], tuple[int, ...]]:
    """What the new model is to give, float32 on the CPU, and the period of the lattice that is taken out.

    Args:
        old: the model before the sites were replaced.
        swaps: what was replaced; all of it is repaired at once.
        calls: its inputs; no more of them are run after the time `until` of `time.monotonic`, but the first is.
        output: which of the outputs.
        seed: of the random state that every pass starts from.
        data_range: of the output.

    Raises:
        FixError: if the old model has no such site, or the first output is too small for the lattice of any.
    """
    targets: list[Tensor] = []
    with Runner(old, output, seed) as runner:
        drawn = drawn_at(runner, swaps, calls[0])
        # in step with all sites is what keeps step with their least common multiple; larger than fits, it is no lattice
        period = common_period(drawn.periods, holds(drawn.size))
        if max(period) == 1:
            widest = max(map(max, drawn.periods))
            raise FixError(f"an output of {drawn.size} is too small to take a grid of period {widest} out")
        for call in calls:
            if targets and until is not None and time.monotonic() > until:
                break
            unrepaired = runner.run(call).float()
            repaired = remove_lattice(repaired_output(runner, call, drawn.sites).float(), period, RESIDUAL_BLOCKS)
            target = remove_lattice(unrepaired, period) + repaired - remove_lattice(repaired, period)
            with torch.no_grad():
                targets.append(remove_spectral_images(target, period, data_range=data_range).to(target.dtype).cpu())
    return targets, period


def sites_at(sites: Sequence[Site], paths: Sequence[str]) -> list[Site]:
    """The sites that modules at these paths make, themselves or inside."""
    return [site for site in sites if any(site.name == path or site.name.startswith(f"{path}.") for path in paths)]
