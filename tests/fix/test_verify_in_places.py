"""A cure is one in every place, and no blur: the worst window and the sharpness of outputs before and after."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from artifactlab import capture
from artifactlab.fix import FixCheck, check_fix
from artifactlab.fix.fix_verdict import Findings, Form
from artifactlab.fix.local_check import check_windows
from artifactlab.inputs.images import Picture
from artifactlab.metrics.gradients import gaussian, separable
from artifactlab.scoring.tiles import Tiles
from artifactlab.scoring.worst_window import worst_windows

CORNER = (..., slice(160, 224), slice(16, 80))


def with_corner(image: Tensor, strength: float) -> Tensor:
    """A chessboard of period 2 in 64 x 64 pixels."""
    image = image.clone()
    rows = torch.arange(64)
    image[CORNER] += strength / 255 * (-1.0) ** (rows[:, None] + rows)
    return image


class Cornered(nn.Module):
    """A model, with a chessboard in one corner of what it gives."""

    def __init__(self, model: nn.Module, strength: float) -> None:
        super().__init__()
        self.model, self.strength = model, strength

    def forward(self, x: Tensor) -> Tensor:
        return with_corner(self.model(x), self.strength)


class Blurred(nn.Module):
    """A model, with its output blurred."""

    def __init__(self, model: nn.Module, sigma: float) -> None:
        super().__init__()
        self.model, self.sigma = model, sigma

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(x)
        return separable(y, gaussian(self.sigma, y), gaussian(self.sigma, y))


def checked(old: nn.Module, new: nn.Module, images: list[Tensor]) -> FixCheck:
    with capture(old) as cap, torch.no_grad():
        old(images[0])
    return check_fix(old, new, cap.sites[0].site, images)


def test_a_faint_grid_that_came_up_in_one_corner_is_no_cure_though_the_mean_shows_none(decoders: ModuleType) -> None:
    check = checked(decoders.gridded(), Cornered(decoders.gridded(0.0), 4), decoders.images(1, 128))
    assert check.severity[0] > 1 > check.severity[1]
    assert check.energy_drop is not None
    assert check.energy_drop > 0.9
    assert not check.cured
    assert check.window is not None
    assert check.worst_window is not None
    assert (check.window.top, check.window.left, check.window.form) == (160, 16, "grid")
    assert check.window.severity[1] == pytest.approx(check.worst_window[1])
    assert f"in a window (severity {check.window})" in check.verdict
    assert checked(decoders.gridded(), decoders.gridded(0.0), decoders.images(1, 128)).window is None


def test_a_grid_that_was_in_one_corner_and_stays_is_no_cure(decoders: ModuleType) -> None:
    found = {}
    for strength in (0, 4):
        before, after = (with_corner(decoders.images(1, 256)[0], corner) for corner in (4, strength))
        found[strength] = check_windows([before], [after], None, 1.0).against
    assert found[0] is None
    assert found[4] is not None
    assert found[4].severity[0] == found[4].severity[1]


def test_a_corner_that_the_repair_of_the_sites_leaves_is_not_theirs(decoders: ModuleType) -> None:
    images = [with_corner(decoders.images(1, 256)[0], 4)]
    assert check_windows(images, images, images, 1.0).against is None
    assert check_windows(images, images, decoders.images(1, 256), 1.0).against is not None


def test_the_worst_window_is_that_of_score(decoders: ModuleType) -> None:
    image = with_corner(decoders.images(1, 256)[0], 4)
    check = check_windows([image], [image], None, 1.0)
    (tile,) = Tiles(Picture(image[0].permute(1, 2, 0).numpy(), premultiplied=False))
    scored = worst_windows(tile)
    assert check.worst is not None
    assert check.worst[0] == pytest.approx(scored[0].severity)


def test_images_of_a_range_and_a_batch_of_their_own_are_the_same_windows(decoders: ModuleType) -> None:
    flat, cornered = (with_corner(decoders.images(1, 256)[0], strength) for strength in (0, 4))
    one = check_windows([flat, flat], [flat, cornered], None, 1.0)
    batch = check_windows([255 * torch.cat([flat, flat])], [255 * torch.cat([flat, cornered])], None, 255.0)
    assert one.against is not None
    assert batch.against is not None
    assert batch.against.output == one.against.output == 1
    assert batch.against.severity == pytest.approx(one.against.severity, rel=1e-3, abs=1e-6)


def test_outputs_without_windows_have_none(decoders: ModuleType) -> None:
    small, signal = decoders.images(1, 48), [torch.zeros(1, 1, 4096)]
    assert check_windows(small, small, None, 1.0).worst is None
    assert check_windows(signal, signal, None, 1.0).worst is None


@pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 2.0])
def test_a_blur_of_any_strength_that_matters_is_no_cure(sigma: float, decoders: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    images = [0.8 * image + 0.2 * torch.rand(image.shape, generator=generator) for image in decoders.images(2)]
    sharp, blurred = (
        checked(decoders.gridded(), new, images)
        for new in (decoders.gridded(0.0), Blurred(decoders.gridded(0.0), sigma))
    )
    assert sharp.cured, sharp.verdict
    assert abs(sharp.sharpness) < 0.1
    assert blurred.sharpness < -0.1
    assert not blurred.cured
    assert "detail was lost" in blurred.verdict


def test_rounding_that_a_flat_image_loses_is_no_blur(decoders: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    images = [0.5 + 0.4 / 255 * torch.rand(1, 1, 64, 64, generator=generator)]
    old = decoders.gridded()
    check = checked(old, Blurred(decoders.gridded(0.0), 1.0), images)
    assert check.sharpness < -1
    assert check.cured, check.verdict


def test_what_stays_where_the_sites_are_repaired_too_is_not_theirs() -> None:
    findings = Findings()
    findings.add(Form("grid", (50.0, 0.2), 0.1))
    findings.add(Form("stair-steps", (20.0, 22.0), 21.0))
    assert (findings.failures, findings.gone, findings.others) == ([], ["100% of the grid"], ["stair-steps"])


@pytest.mark.parametrize(
    ("severity", "repaired", "failure"),
    [
        ((63.0, 10.4), 1.0, "83% of the grid went, and what is left shows (severity 10.4)"),
        ((63.0, 20.0), 1.0, "68% of the grid went"),
        ((5.0, 4.0), 0.0, "20% of the grid went"),
        ((5.0, 8.0), 4.8, "the output now shows more grid"),
        ((0.0, 1.5), 0.5, "the output now shows grid"),
    ],
)
def test_what_shows_must_go(severity: tuple[float, float], repaired: float, failure: str) -> None:
    findings = Findings()
    findings.add(Form("grid", severity, repaired))
    assert findings.failures == [failure]


def test_what_hardly_counted_before_need_not_go_by_itself() -> None:
    findings = Findings()
    findings.add(Form("grid", (60.0, 0.1), 0.1))
    findings.add(Form("stair-steps", (0.9, 1.1), 0.9))
    assert not findings.failures
