"""Two variants of one model: the first layer at which their lattices part."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError, ModelError, compare_models
from artifactlab.attribution.sites.records import Site
from artifactlab.comparing.compare_models import _refuse_other_kinds, compared
from artifactlab.comparing.lattices import Layer, Plan, lattice_at, measured_in
from artifactlab.comparing.model_comparison import LatticeStrength

SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare_models.json").read_text())
SITES = ("up1/conv_transpose2d#0", "up2/conv_transpose2d#0", "up3/conv_transpose2d#0")


class Decoder(nn.Module):
    """Two upsamplers with convolutions around them, the same weights whatever the upsamplers are."""

    def __init__(self, first: str = "bilinear", second: str = "bilinear") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.inp, self.mid, self.body = nn.Conv2d(3, 16, 3, padding=1), *(nn.Conv2d(16, 16, 3, padding=1) for _ in "12")
        self.head = nn.Conv2d(16, 3, 3, padding=1)
        self.up1, self.up2 = (nn.Upsample(scale_factor=2, mode=mode) for mode in (first, second))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.mid(self.up1(F.relu(self.inp(x)))))
        return self.head(F.relu(self.body(self.up2(x))))


class Tiled(nn.Module):
    """A decoder run on tiles that do not overlap."""

    def __init__(self, net: nn.Module, side: int) -> None:
        super().__init__()
        self.net, self.side = net, side

    def forward(self, x: Tensor) -> Tensor:
        rows = [torch.cat([self.net(t) for t in row.split(self.side, 3)], 3) for row in x.split(self.side, 2)]
        return torch.cat(rows, 2)


class Blurred(nn.Module):
    """A decoder and a mean over two pixels each way, or nothing."""

    def __init__(self, net: nn.Module, blurred: bool) -> None:
        super().__init__()
        self.net, self.blurred = net, blurred

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(x)
        return F.avg_pool2d(F.pad(y, (0, 1, 0, 1), mode="replicate"), 2, 1) if self.blurred else y


@pytest.fixture
def small(scene: Tensor) -> Tensor:
    """A part of the scene, (1, 3, 24, 24), in which three layers still have room for a period each."""
    return scene[..., 4:28, 4:28]


def again(model: nn.Module) -> nn.Module:
    """A copy with the same weights."""
    copy = type(model)()
    copy.load_state_dict(model.state_dict())
    return copy


def disturbed(model: nn.Module, name: str) -> nn.Module:
    """The same with other weights in one layer."""
    with torch.no_grad():
        weight = model.get_submodule(name).weight
        weight.mul_(1 + 0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return model


def test_a_model_does_not_part_from_itself(three_sites, small: Tensor) -> None:
    found = compare_models(three_sites.plant("up2"), again(three_sites), small, data_range=1.0)
    assert (found.verdict, found.parts_at) == ("same", None)
    assert [place.where for place in found.places] == [*SITES, "output"]
    assert all(place.difference == LatticeStrength(0.0, 0.0) for place in found.places)
    assert found.severity[0] == found.severity[1]


@pytest.mark.parametrize("number", [0, 2])
def test_they_part_at_the_layer_that_was_changed_and_not_before(three_sites, small: Tensor, number: int) -> None:
    changed = again(three_sites).plant(f"up{number + 1}")
    found = compare_models(three_sites, changed, small, data_range=1.0)
    assert found.parts_at == SITES[number]
    assert [place.verdict for place in found.places[: number + 1]] == ["same"] * number + ["part"]
    assert found.text.startswith(f"The lattices part at {SITES[number]}")
    diagnosis = artifactlab.diagnose(changed, small, data_range=1.0, fast=True)
    assert found.severity[1] == pytest.approx(diagnosis.output.severity)


@pytest.mark.parametrize(
    ("modes", "where"), [(("nearest", "bilinear"), "up1"), (("bilinear", "nearest"), "up2")], ids=["first", "second"]
)
def test_steps_part_where_an_upsampler_was_replaced(scene: Tensor, modes: tuple[str, str], where: str) -> None:
    found = compare_models(Decoder(), Decoder(*modes), scene)
    assert found.parts_at == f"{where}/interpolate#0"
    place = next(place for place in found.places if place.verdict == "part")
    assert place.second.steps == pytest.approx(0.5, abs=0.05)  # what nearest x2 leaves, in its own samples


def test_another_kind_of_upsampler_is_matched_with_the_one_it_replaced(three_sites, small: Tensor) -> None:
    class Resized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="nearest")

    changed = again(three_sites)
    changed.up2 = Resized()
    found = compare_models(three_sites, changed, small, data_range=1.0)
    assert found.parts_at == SITES[1]
    assert next(place.other for place in found.places if place.where == SITES[1]) == "up2/interpolate#0"
    assert (found.only_first, found.only_second) == ((), ())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_precision_does_not_part(three_sites, small: Tensor, dtype: torch.dtype) -> None:
    model = three_sites.plant("up2")
    rounded = again(model).to(dtype)
    found = compare_models(model, rounded, small, data_range=1.0)
    assert found.verdict == "same"
    assert 0 < max(place.difference.grid for place in found.places) < 0.25 / 255
    assert next(rounded.parameters()).dtype == dtype


def test_weights_rounded_so_coarsely_that_a_grid_shows_do(three_sites, small: Tensor) -> None:
    coarse = again(three_sites)
    with torch.no_grad():  # to a twentieth, stochastically
        coarse.up2.weight.mul_(20).add_(torch.rand(coarse.up2.weight.shape)).floor_().div_(20)
    assert compare_models(three_sites, coarse, small, data_range=1.0).parts_at == SITES[1]


def test_tiles_without_overlap_have_seams_that_the_whole_run_has_not(three_sites, scene: Tensor) -> None:
    model, large = nn.Sequential(three_sites.up1, three_sites.up2), F.interpolate(scene, (48, 48), mode="bilinear")
    found = compare_models(model, Tiled(model, 8), large, data_range=1.0)
    assert found.seams == ((0.0, 0.0), (32.0, 32.0))
    assert "Only the second has seams, every 32 rows and every 32 columns" in found.text
    assert next(place.calls for place in found.places) == (1, 36)
    assert "runs 1 times in the first and 36 in the second" in found.text


def test_large_tiles_have_the_lattice_of_the_whole_run(three_sites, scene: Tensor) -> None:
    model = three_sites.plant("up2")
    found = compare_models(model, Tiled(again(model), 16), scene, data_range=1.0)
    assert [place.other for place in found.places] == [*(f"net.{key}" for key in SITES), "output"]
    assert "part" not in {place.verdict for place in found.places}


def test_what_follows_the_last_upsampler_parts_only_at_the_output(three_sites, small: Tensor) -> None:
    model = three_sites.plant("up3")
    found = compare_models(Blurred(model, False), Blurred(again(model), True), small, data_range=1.0)
    assert found.parts_at == "output"
    assert "only at the output, behind net.up3/conv_transpose2d#0, where they still agree" in found.text
    assert [place.verdict for place in found.places] == ["same", "same", "same", "part"]


def test_other_content_is_no_other_lattice(scene: Tensor) -> None:
    """Weights before the first upsampler change everything that is drawn, and nothing of how nearest enlarges it."""
    found = compare_models(Decoder("nearest", "nearest"), disturbed(Decoder("nearest", "nearest"), "inp"), scene)
    first, second = (place.first.steps for place in found.places[:2])
    assert found.places[0].verdict != "part"
    assert first == pytest.approx(0.5, abs=0.05)
    assert second > 0.5


def test_what_stands_between_two_upsamplers_shows_at_the_second(scene: Tensor) -> None:
    changed = disturbed(Decoder("nearest", "bilinear"), "mid")
    found = compare_models(Decoder("nearest", "bilinear"), changed, scene)
    assert found.places[0].verdict == "same"
    assert found.places[1].period == (4, 4)  # its own 2, and what is left of the first one's


def test_a_layer_that_only_one_has_is_listed_and_compared_with_nothing(small: Tensor) -> None:
    class More(Decoder):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            height, width = y.shape[-2:]
            return F.interpolate(y, scale_factor=3, mode="bilinear")[..., :height, :width]

    found = compare_models(Decoder(), More(), small)
    assert (found.only_first, found.only_second) == ((), ("interpolate#0",))
    assert [place.where for place in found.places] == ["up1/interpolate#0", "up2/interpolate#0", "output"]
    assert "Layers without a partner: interpolate#0." in found.text


def test_what_is_too_small_is_not_called_the_same(three_sites, scene: Tensor) -> None:
    small = compare_models(three_sites, again(three_sites).plant("up1"), scene[..., :8, :8], data_range=1.0)
    assert small.unmeasured == (SITES[0],)
    assert "Too small to be measured: up1/conv_transpose2d#0" in small.text
    tiny = nn.Sequential(nn.Upsample(scale_factor=2))
    found = compare_models(tiny, tiny, scene[..., :8, :8])
    assert (found.verdict, found.places, found.severity) == ("cannot tell", (), (None, None))


def test_both_models_run_on_the_same_random_numbers_and_come_back_as_they_were(scene: Tensor) -> None:
    class Noisy(Decoder):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + 0.1 * torch.randn_like(x))

    model, state = Noisy().train(), torch.get_rng_state()
    found = compare_models(model, Noisy(), [scene, scene.flip(-1)])
    assert max(place.difference.grid for place in found.places) == 0
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_the_record_is_the_json_of_its_schema(small: Tensor) -> None:
    done: list[tuple[int, int]] = []
    changed = Decoder("nearest")
    found = compare_models(Decoder(), changed, [small, small], progress=lambda *at: done.append(at))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(found.to_json()), SCHEMA)
    assert done == [(2, 8), (4, 8), (6, 8), (8, 8)]


def test_mistakes_are_errors(three_sites, scene: Tensor) -> None:
    with pytest.raises(ModelError, match="the outputs have 3 and 1 channels"):
        compare_models(Decoder(), nn.Sequential(Decoder(), nn.Conv2d(3, 1, 1)), scene)
    with pytest.raises(InputError, match="got no inputs"):
        compare_models(three_sites, three_sites, [])
    with pytest.raises(InputError, match="may have no end: give a list"):
        compare_models(three_sites, three_sites, iter([scene]))
    with pytest.raises(InputError, match="data_range must be a positive number"):
        compare_models(three_sites, three_sites, scene, data_range=-1)


def test_a_layers_lattice_has_its_own_directions_where_the_output_has_more() -> None:
    """Frames one by one: rows and columns, of an output that has frames, too."""

    def layer(scale: tuple[float, ...], period: tuple[float, ...], size: tuple[int, ...]) -> Layer:
        return Layer(Site("up", "interpolate", 0, scale, period, (), ()), 4, size, 1.0)

    early, late = layer((2, 2), (1, 4, 4), (64, 64)), layer((2, 2), (1, 2, 2), (128, 128))
    assert lattice_at(late, [early]) == (4, 4)
    in_time = layer((2, 1, 1), (2, 1, 1), (32, 64, 64))
    assert lattice_at(in_time, [early]) == (2, 4, 4)
    assert lattice_at(layer((2, 2, 2), (2, 2, 2), (4, 64, 64)), []) == (1, 2, 2), "too few frames to measure"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_lattices_are_measured_in_any_number_of_directions(axes: int) -> None:
    side = (4096, 96, 40)[axes - 1]
    noise = torch.rand(1, 2, *(side,) * axes, generator=torch.Generator().manual_seed(0))
    cell = torch.zeros((2,) * axes)
    cell[(0,) * axes] = 0.5
    gridded = noise + cell.repeat((side // 2,) * axes)
    plan = Plan((2,) * axes, 1.0)
    first, second = (measured_in(x, plan) for x in (noise, gridded))
    assert compared(None, None, plan, first, second).verdict == "part"
    assert compared(None, None, plan, first, first).verdict != "part"
    assert compared(None, None, plan, second, second).first.grid == pytest.approx(
        0.5 * 2**-axes * (2**axes - 1) ** 0.5, rel=0.1
    )


def test_models_of_other_outputs_are_no_variants(scene: Tensor) -> None:
    film = nn.Sequential(nn.Upsample(scale_factor=2), nn.Unflatten(1, (3, 1)))
    shape = tuple(film(scene).shape)
    with pytest.raises(ModelError, match=re.escape(f"and {shape}, so they are no variants")):
        _refuse_other_kinds((1, 3, 64, 64), shape)


def test_differences_stay_numbers_where_noise_leaves_next_to_no_edges_to_measure_steps_at() -> None:
    """Of short noise the weight of rising and of falling edges may cancel; nothing is divided by what is left."""

    def vocoder(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        first, second = nn.ConvTranspose1d(8, 8, 16, 8, 4), nn.ConvTranspose1d(8, 1, 16, 8, 4)
        return nn.Sequential(nn.Conv1d(16, 8, 7, padding=3), first, nn.LeakyReLU(0.1), second, nn.Tanh())

    for seed in (9, 24):
        latent = torch.randn(1, 16, 6, generator=torch.Generator().manual_seed(seed))
        latent = nn.functional.avg_pool1d(latent, 9, 1, 4) * 3
        for place in compare_models(vocoder(seed), vocoder(seed + 50), latent).places:
            for strength in (place.first, place.second, place.difference, place.floor):
                assert isinstance(strength.steps, float)
                assert 0 <= strength.steps < 1e4
