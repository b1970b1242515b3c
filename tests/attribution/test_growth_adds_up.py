"""Growth adds up from input to output, or the verdict says what is missing and names nobody for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import diagnose


def enlarged(x: Tensor, r: int) -> Tensor:
    """A nearest resize of the pixels in one row, which no detector sees."""
    n, c, h, w = x.shape
    pixels = (torch.arange(r * h) // r * w)[:, None] + torch.arange(r * w) // r
    return x.flatten(2)[..., pixels.flatten()].view(n, c, r * h, r * w)


class Blind(nn.Module):
    """A known enlargement, and one that is not seen before it or after it."""

    def __init__(self, up: nn.Module, before: int = 1, after: int = 1) -> None:
        super().__init__()
        self.up, self.before, self.after = up, before, after

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(self.up(enlarged(x, self.before)), self.after)


def bicubic() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="bicubic")


def edges(side: int = 48) -> list[Tensor]:
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    images = [torch.sigmoid((a * x + (1 - a) * y - side / 2) / 1.5) for a in (0.2, 0.7)]
    return [image.expand(1, 3, side, side).contiguous() for image in images]


def test_nobody_is_named_for_what_growth_draws_that_was_not_seen() -> None:
    diagnosis = diagnose(Blind(bicubic(), after=4), edges(32), data_range=1.0)
    assert diagnosis.offenders == ()
    assert diagnosis.sites[0].site.period == (8, 8)
    assert diagnosis.findings == ()
    assert "the sites explain x2 of the x8" in diagnosis.verdict
    assert "between up/interpolate and the output, was not seen, so nobody is named" in diagnosis.verdict


def test_growth_before_a_site_is_measured_at_the_period_it_has_in_the_output() -> None:
    diagnosis = diagnose(Blind(bicubic(), before=4), edges(24), data_range=1.0, fast=True)
    assert (diagnosis.config.period, diagnosis.offenders) == ((8, 8), ())
    assert "between the input and up/interpolate, was not seen" in diagnosis.verdict


def test_a_layer_whose_repair_leaves_nothing_is_named_all_the_same() -> None:
    grid = nn.ConvTranspose2d(3, 3, 2, 2, bias=False)
    with torch.no_grad():
        grid.weight.copy_(torch.eye(3)[..., None, None] * torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    model = Blind(grid, before=2)
    flat = [torch.full((1, 3, 32, 32), level) for level in (0.3, 0.5, 0.7)]
    diagnosis = diagnose(model, flat, data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["up/conv_transpose2d#0"]
    assert "between the input and up/conv_transpose2d, was not seen." in diagnosis.verdict


def test_within_a_module_the_rest_is_named_after_the_layers_that_were_seen() -> None:
    model = nn.Sequential(Blind(bicubic(), after=4), nn.Conv2d(3, 3, 1))
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(edges()[0])
    found = {s.site.key: (s.site.scale, s.site.period) for s in cap.sites}
    assert found == {"0.up/interpolate#0": ((2, 2), (8, 8)), "0/module#0": ((4, 4), (4, 4))}
    assert cap.unseen == ()
    inner, rest = (s.site for s in cap.sites)
    assert rest.encloses(inner)
    assert not inner.encloses(rest)


class TwoIndexed(nn.Module):
    """Two nearest resizes by indexing, with a convolution between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            rows = torch.arange(2 * x.shape[-1]) // 2
            x = self.conv(x[:, :, rows[:, None], rows])
        return x


def test_a_call_is_the_same_site_whatever_its_input_holds() -> None:
    flat = torch.full((1, 3, 48, 48), 0.5)
    found = []
    model = TwoIndexed()
    for inputs in ([flat], edges(48)[:1], [*edges(48)[:1], flat]):
        with artifactlab.capture(model) as capture, torch.no_grad():
            for image in inputs:
                model(image)
        found.append([(site.site.key, site.site.period) for site in capture.sites])
    assert found[0] == found[1] == found[2] == [("getitem#0", (4, 4)), ("getitem#1", (2, 2))]


class Interleaved(nn.Module):
    """Every pixel written to four places, by views or by indices."""

    def __init__(self, by_views: bool, inside: bool = False) -> None:
        super().__init__()
        self.by_views, self.inside = by_views, inside

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.inside else nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        whole = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        for row in (0, 1):
            for column in (0, 1):
                if self.by_views:
                    whole[:, :, row::2, column::2].copy_(x)
                else:
                    whole[:, :, row::2, column::2] = x
        return nn.functional.interpolate(whole, scale_factor=2, mode="bilinear") if self.inside else whole


@pytest.mark.parametrize("by_views", [True, False])
def test_pixels_that_are_interleaved_are_growth_however_they_are_written(by_views: bool) -> None:
    found = diagnose(Interleaved(by_views), edges(32), data_range=1.0)
    assert found.config.period == (4, 4)
    assert found.offenders == ()
    assert "was not seen" in found.verdict


@pytest.mark.parametrize("by_views", [True, False])
def test_what_is_not_seen_in_a_module_has_the_period_that_the_rest_of_it_gives(by_views: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Interleaved(by_views, inside=True))
    with artifactlab.capture(model) as capture, torch.no_grad():
        model(edges()[0])
    assert {site.site.key: site.site.period for site in capture.sites}["1/module#0"] == (4, 4)


def test_windows_that_are_enlarged_before_they_are_put_back_are_no_shuffle() -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            cut = x.view(n, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, 8, 8)
            large = nn.functional.interpolate(cut, scale_factor=2)
            return large.view(n, h // 8, w // 8, c, 16, 16).permute(0, 3, 1, 4, 2, 5).reshape(n, c, 2 * h, 2 * w)

    model = Windows()
    with artifactlab.capture(model) as capture:
        model(edges()[0])
    assert [(site.site.key, site.site.period) for site in capture.sites] == [("interpolate#0", (2, 2))]
