"""Findings about signals, volumes and video."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.findings.constant_patterns import constant_patterns
from artifactlab.attribution.findings.misregistration import features_of, misregistrations
from artifactlab.attribution.findings.origin import _blurred, _is_picture, _remaining_power, _spun, origin_of
from artifactlab.attribution.findings.pattern_causes import _is_map
from artifactlab.metrics.gradients import gaussian, separable
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.layout import Layout
from artifactlab.models.runner import Runner
from artifactlab.scoring.severity import Severity, measure_severity

STANDARD = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
SIDES = {1: 1024, 2: 96, 3: 40}


def smooth(axes: int, seed: int = 0) -> Tensor:
    """Content without any lattice, (1, 1, *space)."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1]
    noise = torch.rand(1, 1, *(SIDES[axes] + 8,) * axes, generator=torch.Generator().manual_seed(seed))
    return 0.5 + 2 * (pool(pool(noise, 5, 1), 5, 1) - 0.5)


def grid(axes: int, period: int = 2, height: float = 0.1) -> Tensor:
    """A grid, (1, 1, *space)."""
    cell = torch.zeros((period,) * axes)
    cell[(0,) * axes] = height
    return cell.repeat((SIDES[axes] // period,) * axes)[None, None]


class Drawing(nn.Module):
    """Of the input's size; it may draw a grid itself, an embedding of positions or what follows no parameter."""

    def __init__(self, axes: int, own: float = 0.0, embedded: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("drawn", grid(axes, 2, own))
        self.embedding = nn.Parameter(grid(axes, 2, embedded))

    def forward(self, x: Tensor) -> Tensor:
        return 0.9 * x + self.drawn * x.mean() + self.embedding


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("brought", "own", "share"), [(0.1, 0.0, 1.0), (0.0, 0.1, 0.0)])
def test_what_moves_along_with_the_input_is_the_inputs(axes: int, brought: float, own: float, share: float) -> None:
    lattice = (2,) * axes
    call = Call((smooth(axes) + grid(axes, 2, brought) + grid(axes, 2, 1e-3),))
    with Runner(Drawing(axes, own), None, 0, Layout(STANDARD[axes])) as runner:
        output = runner.run(call)
        before = measure_severity(output, lattice, 1.0)
        origin = origin_of(runner, [call], [output], [before], lattice, 1.0)
    if origin is None:  # nothing was found in the input at all, so that the model drew it
        assert not brought
    else:
        assert origin.brought == pytest.approx(share, abs=0.15)
        assert origin.period == lattice
        assert all(len(finding.value) == axes for finding in origin.findings())


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_what_stands_still_keeps_the_power_that_is_calculated(axes: int) -> None:
    """The mean of an output and its shifted ones, frame by frame, against the formula."""
    alternating = torch.tensor([1.0, -1.0]).repeat(SIDES[axes] // 2).view(1, 1, -1, *(1,) * (axes - 1))
    pattern = alternating.expand(1, 1, *(SIDES[axes],) * axes).contiguous()

    class Still(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return pattern.clone()

    call, layout = Call((smooth(axes),)), Layout(STANDARD[axes])
    with Runner(Still(), None, 0, layout) as runner:
        spun = _spun(runner, call, runner.run(call), layout, 1, range(2, 2 + axes))
    assert spun.shape[2:] == (SIDES[axes] - 2,) * axes
    assert float(spun.square().mean()) == pytest.approx(_remaining_power(2, 1, axes), abs=1e-5)


def test_an_images_twin_is_blurred_as_before_and_a_films_frames_are_not_mixed() -> None:
    image = smooth(2)
    kernel = gaussian(0.7, image)
    large = torch.empty(1, 1, 192, 192)
    assert torch.allclose(_blurred(image, large), separable(image, kernel, kernel), atol=1e-6)
    film = torch.stack([image, 1 - image], 2)
    blurred = _blurred(film, torch.empty(1, 1, 2, 192, 192))
    assert torch.allclose(blurred[:, :, 0], separable(image, kernel, kernel), atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_enlarged_picture_of_the_input_is_known_as_one(axes: int) -> None:
    small = smooth(axes)
    large = F.interpolate(small, scale_factor=2)
    assert _is_picture(small, large)
    assert not _is_picture(smooth(axes, seed=1), large)
    assert not _is_picture(large, large)
    assert not _is_picture(small, large[..., :-1])


def test_a_film_that_is_enlarged_in_space_only_is_one_too() -> None:
    film = smooth(3)
    assert _is_picture(film, F.interpolate(film, scale_factor=(1, 2, 2)))


def patterns(model: nn.Module, inputs: Sequence[Tensor], axes: int) -> list[str]:
    with Runner(model, None, 0, Layout(STANDARD[axes])) as runner:
        calls = as_calls(list(inputs))
        outputs = [runner.run(call) for call in calls]
        found = constant_patterns(runner, calls, outputs, Severity(1, {}), (1,) * axes, 1.0)
    assert all(finding.value == (2.0,) * axes for finding in found)
    return [finding.where for finding in found]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_constant_pattern_is_found_and_its_embedding_named(axes: int) -> None:
    inputs = [smooth(axes), smooth(axes, seed=1)]
    assert patterns(Drawing(axes, embedded=0.2), inputs, axes) == ["embedding"]
    assert patterns(Drawing(axes), inputs, axes) == []


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_pattern_that_the_inputs_carry_is_none(axes: int) -> None:
    inputs = [smooth(axes, seed) + grid(axes, 2, 0.2) for seed in (0, 1)]
    assert patterns(Drawing(axes), inputs, axes) == []


@pytest.mark.parametrize(
    ("shape", "size", "covers"),
    [
        ((1, 8, 16, 16), (64, 64), True),
        ((1, 256, 8), (64, 64), True),
        ((1, 5, 16, 16), (9, 64, 64), True),
        ((1, 8, 3, 16, 16), (9, 64, 64), True),
        ((1, 8, 2, 15, 15), (9, 64, 64), False),
        ((1, 3 * 256, 8), (9, 64, 64), True),
        ((1, 8, 250), (1000,), True),
        ((1, 7, 7), (1000,), False),
    ],
)
def test_embeddings_cover_the_output(shape: tuple[int, ...], size: tuple[int, ...], covers: bool) -> None:
    covering = _is_map(torch.zeros(shape), torch.zeros(1, 1, *size))
    assert covering == covers


def test_misregistration_is_not_looked_for_in_volumes() -> None:
    class Frames(nn.Module):
        """Frames folded into the batch, which meet displaced by a row."""

        def forward(self, x: Tensor) -> Tensor:
            frames = x.transpose(1, 2).flatten(0, 1)
            up = F.interpolate(F.avg_pool2d(frames, 2), scale_factor=2.0, mode="bilinear")
            joined = torch.cat([up.roll(1, 2), frames], 1).mean(1, keepdim=True)
            return joined.unflatten(0, (x.shape[0], -1)).transpose(1, 2)

    film = torch.rand(1, 1, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    call = Call((film,))
    with Runner(Frames(), None, 0) as runner:
        assert misregistrations(runner, [call], [features_of(runner, call)]) == ()
