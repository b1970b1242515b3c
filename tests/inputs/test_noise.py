"""Noise as input: as many numbers as asked for, standard normal, the same of each seed."""

from __future__ import annotations

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.inputs.noise import Noise, draw_noise, parse_noise


@pytest.mark.parametrize("text", ["1x4x64x64", "7", "text=1x77x768", "ids=int1000:1x77", "int2:5"])
def test_noise_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_noise(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x4",
        "4x",
        "a",
        "=4",
        "1a=4",
        "4,4",
        "-1x4",
        "x=y",
        "int:5",
        "int0:5",
        "x=int5",
        "int5:",
        "1x1x1x1x1x1x1x1x1",
    ],
)
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a shape such as"):
        parse_noise(text)


def test_it_is_standard_normal_and_every_argument_has_its_own() -> None:
    noises = [Noise((2, 5000)), Noise((10000,), "text"), Noise((3,))]
    calls = list(draw_noise(noises, 4, seed=3))
    values = torch.cat([args[0].reshape(-1) for args, _ in calls] + [kwargs["text"] for _, kwargs in calls])
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    assert len(values.unique()) > 0.99 * len(values)
    assert [tuple(tensor.shape) for tensor in calls[0][0]] == [(2, 5000), (3,)]


def test_a_seed_gives_the_same_and_another_one_others_and_the_global_state_stays() -> None:
    state = torch.get_rng_state()
    first, again, other = (next(draw_noise([Noise((9,))], 1, seed))[0][0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_more_than_memory_holds_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(InputError, match="smaller --count"):
        next(draw_noise([Noise((1, 4, 64, 64))], 100_000_000, 0))


def test_whole_numbers_reach_all_below_the_one_given() -> None:
    (_, kwargs) = next(draw_noise([parse_noise("ids=int7:2x500")], 1, 0))
    assert kwargs["ids"].dtype == torch.int64
    assert sorted(set(kwargs["ids"].flatten().tolist())) == list(range(7))
