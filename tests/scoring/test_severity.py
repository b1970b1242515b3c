"""The objective: severity as something to minimise, or to attribute."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError, severity
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.severity import measure_severity


def board(height: int, width: int) -> Tensor:
    """A grid of period 2 and rms 1."""
    return (-1.0) ** (torch.arange(height)[:, None] + torch.arange(width))


def content(size: int = 128) -> Tensor:
    """Slanted edges, a disc and a little noise, (1, 3, size, size): nothing keeps step with a lattice."""
    t = torch.arange(float(size))
    y, x = t[:, None], t[None, :]
    edges = (0.5 + 4 * torch.sin((y * math.cos(0.5) + x * math.sin(0.5)) / 9)).clamp(0, 1)
    disc = (0.5 + size / 4 - torch.hypot(y - size / 3, x - size / 2)).clamp(0, 1)
    plane = 0.2 + 0.3 * edges + 0.3 * disc
    noise = 0.005 * torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
    return (torch.stack([plane, 0.9 * plane, 0.5 * plane + 0.2]) + noise)[None]


def stairs(image: Tensor, by: int = 4) -> Tensor:
    return F.avg_pool2d(image, by).repeat_interleave(by, 2).repeat_interleave(by, 3)


def gradient(image: Tensor, periods: int, **settings: float) -> tuple[float, Tensor]:
    leaf = image.clone().requires_grad_()
    value = severity(leaf, periods, **settings).sum()
    return float(value.detach()), torch.autograd.grad(value, leaf)[0]


def descended(image: Tensor, periods: int, steps: int = 30) -> Tensor:
    """Gradient descent with Polyak's step, which needs no tuning where the least value is known: here, 0."""
    for _ in range(steps):
        value, slope = gradient(image, periods)
        if value < 1e-3:
            break
        image = image - value / slope.square().sum() * slope
    return image


class Nearest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4, mode="nearest")


@pytest.mark.parametrize("seen", ["grid", "stairs"])
def test_it_is_the_number_that_diagnose_reports(three_sites, scene: Tensor, seen: str) -> None:
    model = three_sites.plant("up2") if seen == "grid" else Nearest()
    image = scene if seen == "grid" else content(48)  # steps are confirmed by edges, which take room
    diagnosis = artifactlab.diagnose(model, image, data_range=1.0)
    with torch.no_grad():
        value = severity(model(image), periods=tuple(diagnosis.config.period))
    assert diagnosis.output.severity > 2
    assert float(value) == pytest.approx(
        diagnosis.output.severity, rel=0.1
    )  # what is likely and not confirmed counts, too


def test_its_gradient_is_that_of_finite_differences_where_the_grid_is_the_same_everywhere() -> None:
    image = (0.5 + 0.02 * board(64, 64).expand(1, 2, 64, 64)).double()
    value, slope = gradient(image, periods=4)
    generator = torch.Generator().manual_seed(1)
    assert value > 1
    for _ in range(5):
        phases = torch.randn(1, 2, 4, 4, generator=generator, dtype=torch.float64)
        direction = (phases - phases.mean((2, 3), keepdim=True)).repeat(1, 1, 16, 16)
        ahead, behind = (severity(image + h * direction, 4) for h in (1e-5, -1e-5))
        assert float((slope * direction).sum()) == pytest.approx(float(ahead - behind) / 2e-5, rel=0.01, abs=1.0)


@pytest.mark.parametrize(("form", "within"), [("grid", 0.02), ("stairs", 0.5)])
def test_along_the_artifact_it_is_that_of_finite_differences_whatever_the_content(form: str, within: float) -> None:
    image = (content() + 0.02 * board(128, 128) if form == "grid" else stairs(content())).double()
    _, slope = gradient(image, periods=4)
    direction = slope / slope.abs().max()
    ahead, behind = (severity(image + h * direction, 4) for h in (1e-4, -1e-4))
    assert float((slope * direction).sum()) == pytest.approx(float(ahead - behind) / 2e-4, rel=within)


def test_descent_takes_a_grid_away_and_nothing_else() -> None:
    clean = content()
    image = clean + 0.02 * board(128, 128)
    after = descended(image, periods=2)
    blurred = F.avg_pool2d(F.pad(image, (0, 1, 0, 1), mode="replicate"), 2, 1)  # has no grid of period 2, either
    assert float(severity(image, 2)) > 4
    assert float(severity(after, 2)) < 0.01
    far = [float((x - clean).square().mean().sqrt()) for x in (image, after, blurred)]
    assert far[1] < far[0] / 20
    assert far[1] < far[2] / 20


def test_descent_takes_steps_away_and_comes_closer_to_a_cubic_enlargement_than_a_bilinear_one_is() -> None:
    small = F.avg_pool2d(content(), 4)
    image = stairs(content())
    after = descended(image, periods=4)
    cubic, bilinear = (F.interpolate(small, scale_factor=4, mode=mode) for mode in ("bicubic", "bilinear"))
    assert float(severity(image, 4)) > 100
    assert float(severity(after, 4)) < 0.1
    assert (after - cubic).square().mean() < (bilinear - cubic).square().mean()


def test_a_grid_too_faint_to_be_confirmed_has_a_gradient_that_points_at_it() -> None:
    noise = 0.085 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    pattern = board(64, 64)[None, None]
    image = 0.5 + noise + 0.00425 * pattern
    assert measure_severity(image, (2, 2), 1.0).together() == (0, 0)
    _, slope = gradient(image, periods=2)
    assert float(F.cosine_similarity(slope.flatten(), pattern.flatten(), dim=0)) > 0.5


@pytest.mark.parametrize("period", [2, 3, 4, 8, 16])
def test_a_grid_that_just_shows_is_a_severity_of_1_at_any_period_and_reported_as_its_amplitude(period: int) -> None:
    t = 2 * math.pi * torch.arange(128.0) / period
    wave = torch.cos(t)[:, None] + torch.cos(t)
    image = 0.5 + visible_grid(period) * (wave / wave.square().mean().sqrt())[None, None]
    found = measure_severity(image, (period, period), 1.0)
    assert sum(found.together()) == pytest.approx(1, rel=0.05)
    assert found.amplitude == pytest.approx(visible_grid(period), rel=0.03)


def test_the_finer_a_grid_the_more_it_takes_to_be_seen_down_to_period_8() -> None:
    limits = [visible_grid(period) for period in range(2, 17)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == pytest.approx(2.1 / 255, rel=0.02)
    assert len(set(limits[6:])) == 1


def test_content_alone_does_not_show() -> None:
    assert float(severity(content())) < 1


def test_noise_that_hides_a_grid_earns_nothing() -> None:
    image = content() + 0.02 * board(128, 128)
    noise = 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(4))
    _, slope = gradient(image, periods=2)
    along_the_grid = float((slope * 0.02 * board(128, 128)).sum())
    assert abs(float((slope * noise).sum())) < 0.05 * along_the_grid


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (torch.float16, (48, 48)),
        (torch.bfloat16, (64, 200)),
        (torch.float32, (193, 131)),
        (torch.float64, (64, 200)),
    ],
)
def test_flat_images_have_neither_a_value_nor_a_gradient(dtype: torch.dtype, size: tuple[int, int]) -> None:
    flat = torch.full((2, 3, *size), 0.3, dtype=dtype, requires_grad=True)
    value = severity(flat)
    value.sum().backward()
    assert torch.equal(value, torch.zeros(2, dtype=value.dtype))
    assert flat.grad is not None
    assert torch.equal(flat.grad, torch.zeros_like(flat))


@pytest.mark.parametrize(("dtype", "within"), [(torch.float16, 0.01), (torch.bfloat16, 0.1), (torch.float64, 1e-3)])
def test_other_precisions_come_to_the_same_and_keep_theirs(dtype: torch.dtype, within: float) -> None:
    image = content() + 0.02 * board(128, 128)
    leaf = image.to(dtype).requires_grad_()
    value = severity(leaf, periods=2)
    value.sum().backward()
    assert float(value.detach()) == pytest.approx(float(severity(image, periods=2)), rel=within)
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype


def test_autocast_changes_nothing() -> None:
    image = content() + 0.02 * board(128, 128)
    plain = gradient(image, periods=4)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradient(image, periods=4)
    assert plain[0] == rounded[0]
    assert torch.equal(plain[1], rounded[1])


def test_each_image_has_its_own_number() -> None:
    batch = torch.cat([content(), content() + 0.02 * board(128, 128), stairs(content())])
    alone = [severity(image[None]) for image in batch]
    assert torch.allclose(severity(batch), torch.cat(alone), rtol=1e-3)


def test_the_data_range_is_what_it_is_measured_in() -> None:
    image = content() + 0.02 * board(128, 128)
    value, slope = gradient(image, periods=2)
    scaled, of_scaled = gradient(255 * image, periods=2, data_range=255)
    assert scaled == pytest.approx(value, rel=1e-3)
    assert torch.allclose(255 * of_scaled, slope, rtol=1e-2, atol=1e-3 * float(slope.abs().max()))


def test_every_pixel_of_any_size_has_a_gradient() -> None:
    _, slope = gradient(0.5 + 0.02 * board(203, 197)[None, None], periods=8)
    assert bool((slope != 0).all())


def test_a_pair_is_a_lattice_of_two_spacings_and_a_list_holds_several() -> None:
    columns = 0.5 + 0.02 * (-1.0) ** torch.arange(96).expand(1, 1, 96, 96)
    assert float(severity(columns, (1, 2))) > 4
    assert float(severity(columns, (2, 1))) < 0.01
    assert torch.equal(severity(columns, [2, 3]), severity(columns, 6))
    assert torch.equal(severity(columns, [(2, 1), (1, 4)]), severity(columns, (2, 4)))


@pytest.mark.parametrize(
    ("output", "settings", "message"),
    [
        (torch.zeros(1, 3, 40, 64), {}, "40x64 pixels is too small to measure periods 8, which takes 48x48"),
        (torch.zeros(1, 3, 4, 4), {"periods": 2}, "4x4 pixels is too small to measure periods 2, which takes 24x24"),
        (torch.zeros(64, 64), {}, r"expected a real tensor of shape \(N, C, L\)"),
        (torch.full((1, 1, 64, 64), math.nan), {}, "hold NaN"),
        (torch.zeros(1, 1, 64, 64), {"periods": 1}, "periods must be lattice spacings"),
        (torch.zeros(1, 1, 64, 64), {"periods": []}, "periods must be lattice spacings"),
        (torch.zeros(1, 1, 64, 64), {"periods": 2.5}, "period must be a positive integer"),
        (torch.zeros(1, 1, 64, 64), {"periods": [15, 16, 17]}, "measure them apart"),
        (torch.zeros(1, 1, 64, 64), {"data_range": 0}, "data_range must be a positive number"),
    ],
)
def test_a_mistake_is_an_error_and_no_number(output: Tensor, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        severity(output, **settings)


@pytest.mark.parametrize("guilty", ["up1", "up3"])
def test_captum_attributes_it_to_the_layer_that_draws_the_grid(three_sites, scene: Tensor, guilty: str) -> None:
    attr = pytest.importorskip("captum.attr")
    model = three_sites.plant(guilty)
    layers = {"up1": model.up1, "up2": model.up2, "up3": model.up3}
    activations: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(lambda _m, _x, y, name=name: activations.__setitem__(name, y.detach()))
        for name, layer in layers.items()
    ]
    model(scene)
    for handle in handles:
        handle.remove()
    everything = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    found = {}
    for name, layer in layers.items():
        ablation = attr.LayerFeatureAblation(lambda x: severity(model(x)), layer)
        # in place of the layer's output its mean over two samples each way: the same without a grid of period 2
        smooth = F.avg_pool2d(F.pad(activations[name], (0, 1, 0, 1), mode="replicate"), 2, 1)
        found[name] = float(ablation.attribute(scene, layer_baselines=smooth, layer_mask=everything).mean())
    assert max(found, key=lambda name: found[name]) == guilty
    assert found[guilty] > 0.8 * float(severity(model(scene)).detach())


def test_captum_integrates_its_gradient_from_a_clean_image_to_the_whole_of_it() -> None:
    attr = pytest.importorskip("captum.attr")
    clean = content()
    image = clean + 0.02 * board(128, 128)
    shares = attr.IntegratedGradients(severity).attribute(image, baselines=clean, n_steps=8)
    assert float(shares.sum()) == pytest.approx(float(severity(image) - severity(clean)), rel=0.05)
