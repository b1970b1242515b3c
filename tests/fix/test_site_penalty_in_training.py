"""The penalty on a site's grid as people train: checkpointed, compiled, under autocast.

Beside a loss, and in several processes: `test_losses_in_parallel.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from artifactlab import ModelError, capture
from artifactlab.fix import SitePenalty
from artifactlab.fix.site_penalty import lattice_share

UP = "up/conv_transpose2d#0"


class Decoder(nn.Module):
    """Two transposed convolutions of uneven overlap; `part`, with the first, may be checkpointed."""

    def __init__(self, reentrant: bool | None = None, inplace: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)
        self.act = nn.ReLU(inplace)
        self.head = nn.ConvTranspose2d(4, 3, 4, 2, 1)
        self.reentrant = reentrant

    def part(self, x: Tensor) -> Tensor:
        return self.act(self.up(x))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.part(x) if self.reentrant is None else checkpoint(self.part, x, use_reentrant=self.reentrant)
        return self.head(x)


def images(batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 12, 12, generator=torch.Generator().manual_seed(2))


def trained_once(model: nn.Module, sites: list[str] | None = None) -> tuple[float, dict[str, Tensor]]:
    """The penalty, and the gradients of it and a loss together."""
    model.zero_grad()
    with SitePenalty(model, sites or [UP]) as penalty:
        loss = model(images()).square().mean()
        value = penalty()
        (loss + value).backward()
    return value.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found: tuple[float, dict[str, Tensor]], expected: tuple[float, dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(expected[0])
    torch.testing.assert_close(found[1], expected[1])


@pytest.mark.parametrize("inplace", [False, True])
def test_a_checkpointed_site_counts_once(inplace: bool) -> None:
    assert_same(trained_once(Decoder(reentrant=False, inplace=inplace)), trained_once(Decoder()))


def test_a_reentrant_checkpoint_is_refused_with_what_to_use_instead() -> None:
    with pytest.raises(ModelError, match="use_reentrant=True; use use_reentrant=False"):
        trained_once(Decoder(reentrant=True))


def test_an_activation_in_place_after_the_site_does_not_matter() -> None:
    assert_same(trained_once(Decoder(inplace=True)), trained_once(Decoder()))


def test_compiled_models_run_as_python() -> None:
    torch._dynamo.reset()
    model = Decoder()
    expected = trained_once(model)
    assert trained_once(torch.compile(model, backend="eager"))[0] == expected[0]
    model.up.compile(backend="eager")
    assert_same(trained_once(model), expected)


def test_under_autocast_the_penalty_is_computed_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    model, casts = Decoder(), []
    expected, _ = trained_once(model)

    def share(*arguments: Any) -> Tensor:
        casts.append(torch.is_autocast_enabled("cpu"))
        return lattice_share(*arguments)

    monkeypatch.setattr("artifactlab.fix.site_penalty.lattice_share", share)
    with torch.autocast("cpu", dtype=torch.bfloat16), SitePenalty(model, [UP]) as penalty:
        model(images())
        value = penalty()
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=0.02)
    assert model.up.weight.grad.any()
    assert casts == [False]


def test_another_watch_of_the_model_does_not_take_the_penaltys_sums_for_growth() -> None:
    model = Decoder()
    with capture(model) as alone:
        model(images())
    with capture(model) as beside, SitePenalty(model, [UP]) as penalty:
        model(images())
        penalty()
    assert [found.site.key for found in beside.sites] == [found.site.key for found in alone.sites]
