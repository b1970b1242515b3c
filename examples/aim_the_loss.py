"""Train a model's artifacts away: diagnose it, aim the loss at the offenders, train on, and look again.

    python examples/aim_the_loss.py nets.py:make_model data.py:make_loader losses.py:make_loss --out trained.pt

`make_model()` returns the trained `nn.Module`, `make_loader()` an iterable of (input, target) batches such as a
DataLoader, and `make_loss()` the loss that the model was trained with: a function of (output, target). Each is named as
`module:function` or `file.py:function`. A model that does not take one tensor and give one needs a few lines of `train`
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.fix import EdgeAwareLoss, SitePenalty
from artifactlab.models.factory import find_callable, load_model

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Story(NamedTuple):
    """What was found before and after."""

    before: Diagnosis
    after: Diagnosis


def aim(
    model: nn.Module,
    batches: Batches,
    main_loss: Loss,
    *,
    steps: int = 200,
    rate: float = 1e-4,
    penalty: float = 0.03,
    data_range: float = 1.0,
    judged_on: int = 2,
) -> Story:
    """Diagnose the model, train it on in place with the loss aimed at its offenders, and diagnose it again.

    Where a diagnosis has no offender, nothing is trained: the two are the same.

    Args:
        model: takes a batch's input and gives what is compared with its target.
        batches: pairs of input and target; gone through again and again.
        main_loss: what the model was trained with.
        steps, rate: of Adam.
        penalty: weight of `SitePenalty` on the offenders' activations.
        data_range: distance between the darkest and the brightest value of the targets.
        judged_on: so many batches are diagnosed, and not trained on.
    """
    pairs = iter(batches)
    judged = [given for given, _ in islice(pairs, judged_on)]
    before = artifactlab.diagnose(model, judged, data_range=data_range)
    if not before.offenders:
        return Story(before, before)
    again = chain(pairs, chain.from_iterable(islice(batches, judged_on, None) for _ in repeat(None)))
    train(model, islice(again, steps), main_loss, before, rate, penalty)
    return Story(before, artifactlab.diagnose(model, judged, data_range=data_range))


def train(
    model: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    main_loss: Loss,
    found: Diagnosis,
    rate: float,
    penalty_weight: float,
) -> None:
    """A plain training loop, and two things more: the loss, which weighs itself, and the penalty."""
    aimed = EdgeAwareLoss.from_diagnosis(found)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    model.train()
    with ExitStack() as stack:
        penalty = stack.enter_context(SitePenalty.from_diagnosis(model, found, weight=penalty_weight))
        for given, target in batches:
            output = model(given)
            loss = aimed.balanced(main_loss(output, target), output, target) + penalty()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval()


@click.command()
@click.argument("make_model")
@click.argument("make_loader")
@click.argument("make_loss")
@click.option("--steps", default=200, show_default=True, help="Of training.")
@click.option("--rate", default=1e-4, show_default=True, help="Learning rate.")
@click.option("--data-range", default=1.0, show_default=True, help="Darkest to brightest value of the targets.")
@click.option("--judged-on", default=2, show_default=True, help="Batches that are diagnosed, and not trained on.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the trained weights go.")
def main(make_model: str, make_loader: str, make_loss: str, out: Path | None, **settings: Any) -> None:
    """Diagnose a model, train its artifacts away, and look again."""
    model = load_model(make_model)
    batches, loss = (find_callable(target, "factory")() for target in (make_loader, make_loss))
    story = aim(model, batches, loss, **settings)
    click.echo(f"before: {story.before.verdict}")
    click.echo(f"after:  {story.after.verdict}")
    click.echo(artifactlab.compare(story.before, story.after).text)
    if out:
        torch.save(model.state_dict(), out)


if __name__ == "__main__":
    main()
