"""The penalty on a site's own grid: what it measures, and that watching for it disturbs nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from artifactlab import InputError, ModelError
from artifactlab.attribution.records import Effect, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.fix import IneffectiveLossWarning, SitePenalty
from artifactlab.fix.site_penalty import lattice_share

UP = "up/conv_transpose2d#0"
HEAD = "head/conv_transpose2d#0"


class Decoder(nn.Module):
    """Two transposed convolutions of uneven overlap, the first of which may be called twice."""

    def __init__(self, calls: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)
        self.head = nn.ConvTranspose2d(4, 3, 4, 2, 1)
        self.calls = calls

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(self.calls):
            x = self.up(x).relu()
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


def state_of(model: nn.Module) -> list[object]:
    return [
        (len(m._forward_hooks), len(m._forward_pre_hooks), m.training, sorted(m.__dict__), [*m._modules])
        for m in model.modules()
    ]


class Anchored(nn.Module):
    """What it finds is added to the replicated input, as in nets for telephones."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Decoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + nn.functional.interpolate(x, scale_factor=4.0)


def offender(key: str, scale: float) -> SiteDiagnosis:
    name, _, call = key.rpartition("/")
    growth = (scale, scale)
    site = Site(name, call.partition("#")[0], 0, growth, growth, (), ())
    return SiteDiagnosis(site, Evidence(0.0, 0.0, 0.5), Effect(9.0, 8.0, 10.0, 0.9, "grid"), "offender", 1, 1)


@pytest.mark.parametrize("trained", [True, False], ids=["beside one that is trained", "alone"])
def test_aimed_at_offenders_it_leaves_out_what_no_weight_has_touched_and_says_so_once(trained: bool) -> None:
    model, offenders = Anchored(), [offender("interpolate#0", 4), *[offender(f"net.{UP}", 2)] * trained]
    with SitePenalty.from_diagnosis(model, SimpleNamespace(offenders=offenders)) as penalty:  # type: ignore[arg-type]
        model(images())
        with pytest.warns(IneffectiveLossWarning, match="interpolate#0 ran without gradients, .* no weight"):
            assert (penalty() > 0) == trained
        model(images())
        assert (penalty() > 0) == trained


# --- the number ---


def test_an_activation_three_times_as_large_has_the_same_penalty() -> None:
    model = Decoder()
    before, _ = trained_once(model)
    with torch.no_grad():
        model.up.weight *= 3
        model.up.bias *= 3
    assert before > 0.05
    assert trained_once(model)[0] == pytest.approx(before, rel=1e-3)


def test_a_penalty_reaches_the_sites_weights_and_what_feeds_it_and_nothing_else() -> None:
    model = Decoder()
    with SitePenalty(model, [UP]) as penalty:
        model(images())
        penalty().backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()} == {
        "stem.weight",
        "stem.bias",
        "up.weight",
        "up.bias",
    }


@pytest.mark.parametrize("scale", [(2, 2), (4, 4), (1, 3)])
def test_a_site_is_searched_for_the_lattice_of_its_own_scale(scale: tuple[int, int]) -> None:
    up = nn.ConvTranspose2d(3, 2, 5, scale)
    with SitePenalty(up, ["conv_transpose2d#0"]) as penalty:
        output = up(images())
        torch.testing.assert_close(penalty(), lattice_share(output, scale))


def test_sites_add_up_and_the_weight_multiplies() -> None:
    model, values = Decoder(), []
    for sites, weight in (([UP], 1), ([HEAD], 1), ([UP, HEAD], 0.5)):
        with SitePenalty(model, sites, weight) as penalty:
            model(images())
            values.append(penalty())
    torch.testing.assert_close(values[2], (values[0] + values[1]) / 2)
    assert min(values) > 0.01


def test_descending_on_it_takes_the_grid_out_of_the_activation() -> None:
    model = Decoder()
    optimiser, values = torch.optim.Adam(model.parameters(), 0.02), []
    with SitePenalty(model, [UP]) as penalty:
        for _ in range(30):
            model(images())
            values.append(penalty())
            optimiser.zero_grad()
            values[-1].backward()
            optimiser.step()
    assert values[-1] < 0.2 * values[0]


# --- which passes and which sites ---


def test_passes_add_up_until_the_call_and_are_forgotten_by_reset() -> None:
    model = Decoder()
    first, second = images(), images().flip(3) + 0.3
    with SitePenalty(model, [UP]) as penalty:
        values = []
        for batches in ([first], [second], [first, second]):
            for batch in batches:
                model(batch)
            values.append(penalty())
        torch.testing.assert_close(values[2], values[0] + values[1])
        model(first)
        penalty.reset()
        model(second)
        assert penalty() == values[1]


def test_validation_between_training_passes_does_not_count() -> None:
    model = Decoder()
    expected, _ = trained_once(model)
    with SitePenalty(model, [UP]) as penalty:
        with torch.no_grad():
            model(images() + 1)
        model(images())
        with torch.inference_mode():
            model(images() + 2)
        assert penalty().item() == expected
        with torch.no_grad():
            model(images())
        with pytest.raises(ModelError, match="ran without gradients"):
            penalty()
        model(images())
        assert penalty().item() == expected


def test_a_module_called_twice_has_two_sites() -> None:
    model = Decoder(calls=2)
    first, second = (trained_once(model, [f"up/conv_transpose2d#{call}"])[0] for call in (0, 1))
    assert first != second
    assert trained_once(model, ["up/conv_transpose2d#0", "up/conv_transpose2d#1"])[0] == pytest.approx(first + second)


def test_sites_are_taken_from_a_diagnosis_as_records_and_by_key() -> None:
    site = Site("up", "conv_transpose2d", 0, (2, 2), (4, 4), (1, 4, 12, 12), (1, 4, 24, 24))
    effect = Effect(1.0, None, None, 0.5, "checkerboard")
    found = SiteDiagnosis(site, Evidence(0.0, 0.0, 0.5), effect, "offender", 1, 1)
    model, values = Decoder(), []
    for sites in ([found], (site,), [site.key], found, site, site.key):
        with SitePenalty(model, sites) as penalty:  # type: ignore[arg-type]
            model(images())
            values.append(penalty().item())
    assert values == [trained_once(model)[0]] * 6
    twice = Decoder(calls=2)
    with SitePenalty(twice, [replace(site, call=1)]) as penalty:
        twice(images())
        assert penalty().item() == trained_once(twice, ["up/conv_transpose2d#1"])[0]


def test_the_key_of_a_site_in_the_model_itself_has_no_name() -> None:
    up = nn.ConvTranspose2d(3, 2, 3, 2)
    with SitePenalty(up, ["conv_transpose2d#0"]) as penalty:
        up(images())
        assert penalty() > 0.01


@pytest.mark.parametrize("key", ["up", "up/conv_transpose2d", "up/conv_transpose2d#x", "", "/#0", 3])
def test_what_is_no_key_is_refused_by_name(key: object) -> None:
    with pytest.raises(InputError, match=f"{key!r} is no site; expected one of a diagnosis, or a key such as"):
        SitePenalty(Decoder(), [key])  # type: ignore[list-item]


def test_no_sites_and_wrong_weights_are_refused() -> None:
    with pytest.raises(InputError, match="there is no site to penalise"):
        SitePenalty(Decoder(), [])
    for weight in (-1, float("nan"), float("inf"), "1"):
        with pytest.raises(InputError, match=f"weight must be a number of at least 0, got {weight!r}"):
            SitePenalty(Decoder(), [UP], weight)  # type: ignore[arg-type]


def test_a_site_that_did_not_run_is_named_with_those_that_did() -> None:
    model = Decoder()
    with SitePenalty(model, ["dec.up2/interpolate#0"]) as penalty:
        model(images())
        with pytest.raises(InputError, match=f"site dec.up2/interpolate#0 has not run .* have: {HEAD}, {UP}\\."):
            penalty()
        with pytest.raises(InputError, match="those that have: none"):
            penalty()


def test_a_frozen_site_is_told_from_one_that_did_not_run() -> None:
    model = Decoder().requires_grad_(False)
    with SitePenalty(model, [UP]) as penalty:
        model(images())
        with pytest.raises(ModelError, match=f"the site {UP} ran without gradients, .* is frozen"):
            penalty()


# --- it leaves no trace ---


def test_hooks_come_off_even_after_an_exception() -> None:
    model = Decoder()
    before, output = state_of(model), model(images())
    penalty = SitePenalty(model, [UP])
    assert state_of(model) == before
    with penalty:
        assert state_of(model) != before
        assert torch.equal(model(images()), output)
    assert state_of(model) == before
    with pytest.raises(RuntimeError, match="expected input"), penalty:
        model(images()[:, :1])
    assert state_of(model) == before


def test_a_block_may_be_entered_again_and_remembers_nothing() -> None:
    model = Decoder()
    expected, _ = trained_once(model)
    penalty = SitePenalty(model, [UP])
    for _ in range(3):
        with penalty:
            model(images())
        with pytest.raises(InputError, match="has not run"):
            penalty()
        with penalty:
            model(images())
            assert penalty().item() == expected


def test_a_failed_pass_does_not_spoil_the_next() -> None:
    model = Decoder()
    expected, _ = trained_once(model)
    with SitePenalty(model, [UP]) as penalty:
        with pytest.raises(RuntimeError):
            model(images()[:, :1])
        model(images())
        assert penalty().item() == expected


def test_a_site_is_entered_once_at_a_time() -> None:
    penalty = SitePenalty(Decoder(), [UP])
    with penalty, pytest.raises(InputError, match="open already"), penalty:
        pass


def test_who_names_a_module_is_told_what_a_key_of_it_looks_like_and_a_penalty_says_its_sites() -> None:
    with pytest.raises(InputError, match=r"such as 'u1.up/conv_transpose2d#0': a module, what it calls"):
        SitePenalty(nn.Identity(), ["u1.up"])
    assert repr(SitePenalty(nn.Identity(), ["up/interpolate#0"], 0.5)) == "SitePenalty(up/interpolate#0; weight=0.5)"
