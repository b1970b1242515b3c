"""What a replaced site is to be trained on: the old model's own output, with the site's lattice taken out.

The target takes from two passes of the old model what each is right about. Off the lattice's frequencies it is the
unrepaired output, so that the image stays the same; on them it is the output with the site repaired as `diagnose`
repairs it, less what keeps step with the lattice over many blocks even then. Tried before: the unrepaired output with
the lattice notched out, which at periods of 4 and 8 takes fine texture along; the repaired output alone, which later
layers shift where they had learned to expect a grid.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.attribution.repair.trials import repaired_output
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import Site
from artifactlab.attribution.sites.watch import watch
from artifactlab.errors import FixError
from artifactlab.fix.replace import Swap
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.periods import lattice_period

RESIDUAL_BLOCKS = 7
"""Blocks a side over which what remains of a grid after the repair is told from texture, more than the repair's own: on
a trained style net the repair leaves two thirds of the grid (docs/decisions.md, *What a fix is trained on*)."""


def teacher_outputs(
    old: nn.Module,
    swap: Swap,
    calls: Sequence[Call],
    output: str | int | None = None,
    seed: int = 0,
    until: float | None = None,
) -> tuple[list[Tensor], tuple[int, ...]]:
    """What the new model is to give, float32 on the CPU, and the period of the lattice that is taken out.

    Args:
        old: the model before the site was replaced.
        swap: what was replaced.
        calls: its inputs; no more of them are run after the time `until` of `time.monotonic`, but the first is.
        output: which of the outputs.
        seed: of the random state that every pass starts from.

    Raises:
        FixError: if the old model has no such site.
    """
    targets: list[Tensor] = []
    with Runner(old, output, seed) as runner:
        found = Capture()
        with watch(runner.model, found.visit, found.finish):
            runner.run(calls[0])
        sites = sites_at([captured.site for captured in found.sites], swap.replacement.paths)
        if not sites:
            keys = ", ".join(captured.site.key for captured in found.sites)
            raise FixError(f"the old model draws no lattice at {swap.replacement.site}; it has {keys}")
        # a module that enlarges in several steps has the widest lattice of its first
        period = max((lattice_period(site.period) for site in sites), key=max)
        for call in calls:
            if targets and until is not None and time.monotonic() > until:
                break
            unrepaired = runner.run(call).float()
            repaired = remove_lattice(repaired_output(runner, call, sites).float(), period, RESIDUAL_BLOCKS)
            targets.append((remove_lattice(unrepaired, period) + repaired - remove_lattice(repaired, period)).cpu())
    return targets, period


def sites_at(sites: Sequence[Site], paths: Sequence[str]) -> list[Site]:
    """The sites that modules at these paths make, themselves or inside."""
    return [site for site in sites if any(site.name == path or site.name.startswith(f"{path}.") for path in paths)]
