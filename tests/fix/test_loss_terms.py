"""The three terms against pixel-by-pixel references, and what each sees and does not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from slanted import edge, noise
from torch import Tensor

from artifactlab.fix.loss_terms import (
    JUST_SHOWS,
    SILENT,
    direction_distance,
    edge_distances,
    excess_raggedness,
    lattice_distance,
)

TERMS = {
    "direction": direction_distance,
    "raggedness": excess_raggedness,
    "lattice": lambda output, target: lattice_distance(output, target, [(2, 2), (4, 4), (3, 1)]),
}
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
seeds = st.integers(0, 2**31)


def stairs(image: Tensor, step: int = 4) -> Tensor:
    """Nearest-neighbour enlarged."""
    return image[..., ::step, ::step].repeat_interleave(step, 2).repeat_interleave(step, 3)


def blurred(image: Tensor, radius: int = 1) -> Tensor:
    return F.avg_pool2d(F.pad(image, [radius] * 4, mode="replicate"), 2 * radius + 1, 1)


# --- against slow references ---


def gradients(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H - 1, W - 1) each, of the four pixels around each corner of pixels; of (C, H, W)."""
    gray = image.mean(0)
    h, w = (size - 1 for size in gray.shape)
    gx, gy = np.zeros((h, w)), np.zeros((h, w))
    for i in range(h):
        for j in range(w):
            (a, b), (c, d) = gray[i : i + 2, j : j + 2]
            gx[i, j], gy[i, j] = (b + d - a - c) / 2, (c + d - a - b) / 2
    return gx, gy


def edges(gx: np.ndarray, gy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight, and angle of the normal."""
    triangle = np.outer([1, 2, 3, 4, 3, 2, 1], [1, 2, 3, 4, 3, 2, 1]) / 256
    weight, angle = np.zeros_like(gx), np.zeros_like(gx)
    for i in range(3, gx.shape[0] - 3):
        for j in range(3, gx.shape[1] - 3):
            x, y = (g[i - 3 : i + 4, j - 3 : j + 4] for g in (gx, gy))
            energy = (triangle * (x**2 + y**2)).sum()
            doubled = (triangle * (x + 1j * y) ** 2).sum()
            weight[i, j] = (abs(doubled) / energy) ** 2 * energy / (energy + JUST_SHOWS**2) if energy else 0
            angle[i, j] = np.angle(doubled) / 2
    return weight, angle


def windows(values: np.ndarray, side: int) -> list[float]:
    """Means in windows that overlap by half."""
    starts = [range(0, size - side + 1, max(1, side // 2)) for size in values.shape]
    return [values[i : i + side, j : j + side].mean() for i in starts[0] for j in starts[1]]


def slow_direction(output: np.ndarray, target: np.ndarray) -> float:
    got, wanted = ((gx + 1j * gy) ** 2 for gx, gy in (gradients(output), gradients(target)))
    apart = (got - wanted) * edges(*gradients(target))[0]
    return sum(np.mean(np.abs([windows(apart.real, side), windows(apart.imag, side)])) for side in (1, 4))


def slow_raggedness(output: np.ndarray, target: np.ndarray) -> float:
    weight, angle = edges(*gradients(target))
    got, own = (
        np.sqrt(np.array(windows(weight * (gy * np.cos(angle) - gx * np.sin(angle)) ** 2, 6)) + SILENT**2)
        for gx, gy in (gradients(output), gradients(target))
    )
    return np.mean(np.maximum(got - own, 0))


def slow_lattice(output: np.ndarray, target: np.ndarray, periods: list[tuple[int, int]]) -> float:
    def steps(line: np.ndarray, period: int, half: int) -> np.ndarray:
        """Means of a line's phases, less the line's slope."""
        slope = (line[half:].mean() - line[:half].mean()) / half if len(line) > half else 0
        line = line - slope * (np.arange(len(line)) - (len(line) - 1) / 2)
        return np.array([line[phase::period].mean() for phase in range(period)])

    total = 0.0
    for ph, pw in periods:
        down, across = (max(2, math.ceil(8 / p)) * p for p in (ph, pw))
        found = []
        for error in output - target:
            starts = [
                range(max(n // half - 1, min(n // half, 1)))
                for n, half in zip(error.shape, (down, across), strict=True)
            ]
            for i in starts[0]:
                for j in starts[1]:
                    ends = [min(k + 2, n // h) * h for k, n, h in zip((i, j), error.shape, (down, across), strict=True)]
                    window = error[i * down : ends[0], j * across : ends[1]]
                    rows = np.array([steps(row, pw, across) for row in window])
                    pattern = np.array([steps(column, ph, down) for column in rows.T])
                    found.append(np.abs(pattern - pattern.mean()).mean())
        total += np.mean(found) if found else 0
    return total / len(periods)


SLOW = {
    "direction": slow_direction,
    "raggedness": slow_raggedness,
    "lattice": lambda output, target: slow_lattice(output, target, [(2, 2), (4, 4), (3, 1)]),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 25, 31), (2, 17, 14), (1, 9, 33)])
def test_a_term_is_what_its_definition_says_pixel_by_pixel(name: str, channels: int, height: int, width: int) -> None:
    middle = (..., slice(24 - height // 2, 24 - height // 2 + height), slice(24 - width // 2, 24 - width // 2 + width))
    target = edge(27)[middle] + 0.2 * noise(2, channels, height, width, seed=1)
    output = stairs(edge(20), 3)[middle] + 0.1 * noise(2, channels, height, width, seed=2)
    expected = [SLOW[name](*(part.numpy() for part in pair)) for pair in zip(output, target, strict=True)]
    assert min(expected) > 1e-4
    np.testing.assert_allclose(TERMS[name](output, target).numpy(), expected, rtol=1e-9)


# --- what all have in common ---


@every_term
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), seeds)
def test_a_term_is_never_negative_and_nothing_where_the_output_is_the_target(
    term: object, channels: int, height: int, width: int, seed: int
) -> None:
    a, b = noise(2, 2, channels, height, width, seed=seed)
    for distance in (term(a, b), term(1e4 * a - 300, b)):  # type: ignore[operator]
        assert distance.shape == (2,)
        assert distance.isfinite().all()
        assert (distance >= 0).all()
    assert (term(a, a) == 0).all()  # type: ignore[operator]


@every_term
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (7, 7), (1, 40), (40, 7)])
def test_images_too_small_to_say_cost_nothing_and_have_gradients_of_zero(term: object, size: tuple[int, int]) -> None:
    output = noise(2, 3, *size).requires_grad_()
    distance = term(output, noise(2, 3, *size, seed=1))  # type: ignore[operator]
    assert (distance == 0).all()
    distance.sum().backward()
    assert output.grad is None or (output.grad == 0).all()


@every_term
def test_gradients_are_those_of_finite_differences(term: object) -> None:
    output, target = noise(1, 2, 14, 18).requires_grad_(), noise(1, 2, 14, 18, seed=1)
    assert term(output, target) > 1e-3  # type: ignore[operator]
    assert torch.autograd.gradcheck(lambda x: term(x, target), output)  # type: ignore[operator]


@every_term
def test_the_target_is_taken_as_given(term: object) -> None:
    output, target = (noise(1, 1, 20, 20, seed=seed).requires_grad_() for seed in (0, 1))
    term(output, target).sum().backward()  # type: ignore[operator]
    assert output.grad.any()
    assert target.grad is None


@pytest.mark.parametrize(
    "turned", [lambda x: x.mT, lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.rot90(1, (2, 3))]
)
@settings(max_examples=10, deadline=None)
@given(seeds)
def test_turning_or_mirroring_both_images_changes_nothing(turned: object, seed: int) -> None:
    a, b = noise(2, 1, 2, 32, 32, seed=seed) + edge(20 + seed % 50, 32)
    square = [(2, 2), (4, 4)]
    torch.testing.assert_close(lattice_distance(turned(a), turned(b), square), lattice_distance(a, b, square))  # type: ignore[operator]
    a, b = a[..., :31, :31], b[..., :31, :31]  # which all windows fit into, from either side
    torch.testing.assert_close(edge_distances(turned(a), turned(b)), edge_distances(a, b))  # type: ignore[operator]


def test_both_edge_terms_come_of_one_reading() -> None:
    a, b = noise(2, 2, 3, 24, 24) + edge(30, 24)
    together = edge_distances(a, b)
    assert torch.equal(together[0], direction_distance(a, b))
    assert torch.equal(together[1], excess_raggedness(a, b))


# --- direction ---


@pytest.mark.parametrize("degrees", [0, 20, 45, 70])
def test_an_edge_turned_by_90_degrees_costs_and_a_brighter_or_inverted_one_does_not(degrees: float) -> None:
    target = edge(degrees)
    assert direction_distance(edge(degrees + 90), target) > 0.01
    assert direction_distance(target + 0.3, target) < 1e-12
    assert direction_distance(1 - target, target) < 1e-12  # an angle and its opposite are one when doubled


def test_a_stair_step_points_the_wrong_way() -> None:
    target = edge(30)
    assert direction_distance(stairs(target), target) > 2 * direction_distance(blurred(target), target)


def seen(target: Tensor) -> float:
    """Which share of the distance to a flat image the weights leave."""
    gx, gy = gradients(target[0].numpy())
    doubled = (gx + 1j * gy) ** 2
    everything = sum(np.mean(np.abs([windows(d, side) for d in (doubled.real, doubled.imag)])) for side in (1, 4))
    return direction_distance(torch.zeros_like(target), target).item() / everything


def test_only_what_points_one_way_and_shows_has_weight() -> None:
    assert seen(edge(20)) > 0.8
    assert seen(noise(1, 1, 48, 48)) < 0.2
    assert seen(0.01 * edge(20)) < 0.05


# --- raggedness ---


@pytest.mark.parametrize("degrees", [15, 30, 45, 60])
def test_stair_steps_of_an_oblique_edge_cost_and_those_that_the_target_has_do_not(degrees: float) -> None:
    target = edge(degrees)
    cost = excess_raggedness(stairs(target), target)
    assert cost > 0.005
    assert excess_raggedness(target, stairs(target)) < 0.3 * cost
    assert excess_raggedness(stairs(target, 2), stairs(target)) < 0.4 * cost


def test_texture_that_the_target_has_may_lie_elsewhere_in_the_output() -> None:
    target = edge(30) + 0.3 * noise(1, 1, 48, 48)
    other = edge(30) + 0.3 * noise(1, 1, 48, 48, seed=1)
    assert excess_raggedness(other, target) < 0.5 * excess_raggedness(other, edge(30))


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 90), st.integers(1, 4), seeds)
def test_blur_costs_nothing_and_earns_nothing(degrees: float, radius: int, seed: int) -> None:
    straight, textured = edge(degrees), edge(degrees) + 0.3 * noise(1, 1, 48, 48, seed=seed)
    assert excess_raggedness(torch.full_like(textured, 0.5), textured) == 0
    assert excess_raggedness(blurred(textured, radius), textured) < 2e-4
    assert excess_raggedness(blurred(straight, radius), straight) < 6e-4  # steps cost 0.012 to 0.06


@pytest.mark.parametrize("degrees", [0, 90])
def test_an_edge_along_the_axes_has_no_steps(degrees: float) -> None:
    target = edge(degrees, width=3)
    assert excess_raggedness(stairs(target), target) < 1e-12


def test_corners_cost_nothing_and_rounded_ones_less_than_steps() -> None:
    turned = blurred((edge(25) * edge(115)).round())
    square = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    square[..., 13:35, 17:29] = 1
    for corner in (turned, square):
        assert excess_raggedness(corner, corner) == 0
        assert excess_raggedness(blurred(corner), corner) < 0.3 * excess_raggedness(stairs(turned), turned)
