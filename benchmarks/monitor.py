"""What a monitor costs a training, over the plain training step: CPU time in one run, in turns, one thread."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from cost_nets import make
from publish import arguments, mark, markdown_table, publish
from speed import race
from torch import nn

from artifactlab import Monitor
from artifactlab.demo.unet import broken

REPEATS = 5
IDLE = 1000
"""Steps without a pass that the cost of a step that is not measured is averaged over: it is too small for one."""
EVERY = 100
MOST = 0.02
"""Share of a training step that a monitor may cost on average."""
BATCHES = {
    "U-Net": (2, 3, 128, 128),
    "super-resolution": (4, 3, 48, 48),
    "the demo's U-Net": (4, 3, 64, 64),
}
"""What the nets are trained on: crops as people take them, and a toy on small ones as the hardest case."""


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [row(name) for name in BATCHES]
    header = ("net and batch", "plain step", "measured step", "other steps", f"a step at every {EVERY}", "")
    publish("monitor", markdown_table(header, rows), options.publish)


def row(name: str) -> tuple[str, ...]:
    """One net, of which all that a monitor knows is measured: every site, and the output's severity."""
    model = broken() if name.startswith("the demo") else make(name)[0]
    step = training_step(model.train(), BATCHES[name])
    monitor, numbers = Monitor(model, every=1, data_range=1.0), itertools.count()

    def measured() -> None:
        assert monitor.begin(next(numbers))
        step()
        assert monitor.end()

    dear, plain = race(measured, step, REPEATS)
    idle = idle_step(model)
    cost = ((dear - plain) / EVERY + idle) / plain
    batch = "x".join(map(str, BATCHES[name]))
    return (
        f"{name}, {batch}",
        f"{1e3 * plain:.0f} ms",
        f"{1e3 * dear:.0f} ms ({dear / plain:.2f})",
        f"+{1e6 * idle:.0f} us",
        f"+{cost:.2%}",
        f"<= {MOST:.0%}: {mark(cost <= MOST)}",
    )


def training_step(model: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    """Forward, L1, backward, Adam."""
    torch.manual_seed(0)
    images = torch.rand(shape)
    with torch.no_grad():
        target = torch.rand_like(model(images))
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        F.l1_loss(model(images), target).backward()
        optimizer.step()

    return step


def idle_step(model: nn.Module) -> float:
    """CPU seconds that `step` takes where nothing is measured."""
    with Monitor(model, every=10 * IDLE) as monitor:
        monitor.stop()
        start = time.process_time()
        for _ in range(IDLE):
            monitor.step()
        return (time.process_time() - start) / IDLE


if __name__ == "__main__":
    main()
