"""The loss and the penalty as people train: two processes, accumulated gradients, half precision, compiled.

All are means over images, so whatever shares a batch out evenly has the gradients of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from artifactlab import Monitor
from artifactlab.fix import EdgeAwareLoss, SitePenalty

SITES = ["layers.1/conv_transpose2d#0", "layers.3/conv_transpose2d#0"]
Gradients = dict[str, Tensor]


class Decoder(nn.Module):
    """A smooth enlargement, to which two transposed convolutions add what they draw; the first overlaps unevenly."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        uneven = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)
        last = nn.ConvTranspose2d(4, 3, 4, 2, 1)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), uneven, nn.ReLU(), last)

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.interpolate(images, size=(48, 48), mode="bilinear") + self.layers(images)


def pairs() -> tuple[Tensor, Tensor]:
    """Four smooth images of different contrast (4, 3, 12, 12), and what they are to become (4, 3, 48, 48)."""
    draws = torch.Generator().manual_seed(2)
    contrast = torch.tensor([0.2, 1.0, 3.0, 0.5])[:, None, None, None]
    smooth = contrast * torch.rand(4, 3, 4, 4, generator=draws)  # what a lattice follows; noise has none
    images, targets = (nn.functional.interpolate(smooth, size=(side, side), mode="bilinear") for side in (12, 48))
    return images, targets


def losses(model: nn.Module, output: Tensor, target: Tensor, penalty: SitePenalty) -> Tensor:
    return EdgeAwareLoss()(output, target) + penalty()


def trained_once(model: nn.Module, images: Tensor, targets: Tensor, share: float = 1.0) -> Tensor:
    """The backward pass of a batch, which is a share of a larger one; its loss."""
    with SitePenalty(model, SITES) as penalty:
        loss = losses(model, model(images), targets, penalty) * share
    loss.backward()
    return loss.detach()


def gradients(model: nn.Module) -> Gradients:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.fixture
def whole() -> Gradients:
    """Of all four images at once, in one process."""
    model = Decoder()
    trained_once(model, *pairs())
    half = Decoder()
    trained_once(half, *(part[:2] for part in pairs()))
    weights = {name: each for name, each in gradients(model).items() if "weight" in name}
    assert all((gradients(half)[name] - each).norm() > 0.01 * each.norm() > 0 for name, each in weights.items())
    return gradients(model)


def rank_trains(rank: int, folder: str) -> None:
    meet = {"init_method": f"file://{folder}/meet", "rank": rank, "world_size": 2}
    dist.init_process_group("gloo", timeout=timedelta(minutes=1), **meet)
    mine = [part.split(2)[rank] for part in pairs()]
    model, sharded = Decoder(), Decoder()
    replica = nn.parallel.DistributedDataParallel(model)
    for layer in (*sharded.layers, sharded):
        if layer is sharded or list(layer.parameters()):
            fully_shard(layer, mesh=dist.device_mesh.init_device_mesh("cpu", (2,)))
    found: dict[str, Any] = {}
    for name, watched in (("replicated", replica), ("sharded", sharded)):
        with Monitor(watched, data_range=1.0) as monitor:
            trained_once(watched, *mine)
            found[f"{name} was measured"] = monitor.step()
            found[f"{name} scalars"] = monitor.scalars()
    found["replicated"] = gradients(model)
    found["sharded"] = {name: each.full_tensor() for name, each in gradients(sharded).items()}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()  # who leaves while the other still talks to it may be aborted
    dist.destroy_process_group()


def test_two_processes_replicated_or_sharded_have_the_gradients_of_one_and_the_first_is_monitored(
    in_two_ranks: Callable[..., Any], whole: Gradients
) -> None:
    folder = in_two_ranks(rank_trains)
    first, second = (torch.load(folder / f"{rank}.pt") for rank in (0, 1))
    with Monitor(model := Decoder(), data_range=1.0) as monitor:
        model(pairs()[0][:2])
        monitor.step()
    for how in ("replicated", "sharded"):
        torch.testing.assert_close(first[how], whole)
        torch.testing.assert_close(second[how], whole)
        assert first[f"{how} scalars"] == monitor.scalars()
        assert (second[f"{how} was measured"], second[f"{how} scalars"]) == (False, {})


def test_accumulated_gradients_are_those_of_the_whole_batch(whole: Gradients) -> None:
    model = Decoder()
    for images, targets in zip(*(part.split(1) for part in pairs()), strict=True):
        trained_once(model, images, targets, share=1 / 4)
    torch.testing.assert_close(gradients(model), whole)


def test_scaled_losses_under_autocast_have_nearly_the_same_gradients(whole: Gradients) -> None:
    model = Decoder()
    with torch.autocast("cpu", torch.bfloat16), SitePenalty(model, SITES) as penalty:
        output = model(pairs()[0])
        loss = losses(model, output, pairs()[1], penalty)
    assert loss.dtype == torch.float32
    (2.0**16 * loss).backward()
    for name, gradient in gradients(model).items():
        assert "bias" in name or (gradient / 2**16 - whole[name]).norm() < 0.05 * whole[name].norm()


def test_the_loss_sees_the_output_that_autocast_has_rounded_and_rounds_nothing_itself() -> None:
    output, target = pairs()[1].bfloat16().requires_grad_(), pairs()[1].flip(0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = EdgeAwareLoss()(output, target)
    assert torch.equal(inside, EdgeAwareLoss()(output.float(), target))


def test_a_compiled_model_and_loss_have_the_same_gradients(whole: Gradients) -> None:
    torch._dynamo.reset()
    model = Decoder()
    compiled = torch.compile(model, backend="eager")
    loss = torch.compile(EdgeAwareLoss(), backend="eager", fullgraph=True)
    images, targets = pairs()
    with SitePenalty(compiled, SITES) as penalty:
        output = compiled(images)
        (loss(output, targets) + penalty()).backward()
    torch.testing.assert_close(gradients(model), whole)
