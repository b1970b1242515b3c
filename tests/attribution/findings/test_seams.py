"""Periods in the output that belong to no site."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.findings.seams import foreign_periods, last_directions, spacings_of
from artifactlab.attribution.sites.capture import capture
from artifactlab.attribution.sites.records import Site
from artifactlab.errors import InputError


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    noise = torch.rand(3, 1, 276, 276, generator=torch.Generator().manual_seed(1))
    return list((8 * F.avg_pool2d(F.avg_pool2d(noise, 11, 1), 11, 1)).split(1))


@pytest.fixture(scope="module")
def seamed(images: list[Tensor]) -> list[Tensor]:
    levels = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(2)) + torch.eye(4)
    steps = levels.repeat_interleave(64, 2).repeat_interleave(64, 3)
    return [x + 0.03 * step for x, step in zip(images, steps, strict=True)]


def test_tiles_are_reported_with_their_period_and_what_to_do(images: list[Tensor], seamed: list[Tensor]) -> None:
    (finding,) = foreign_periods(seamed, images, [(8, 8)])
    assert (finding.kind, finding.where, finding.value, finding.error) == ("seam", "output", (64, 64), (0, 0))
    assert "every 64 rows and 64 columns" in finding.text
    assert "overlap" in finding.text


def test_clean_outputs_are_not_accused(images: list[Tensor]) -> None:
    assert foreign_periods(images, images, [(2, 2)]) == ()
    assert foreign_periods(images) == ()
    assert foreign_periods([]) == ()


def test_a_sites_own_period_and_its_divisors_are_explained(images: list[Tensor], seamed: list[Tensor]) -> None:
    assert foreign_periods(seamed, images, [(64, 64)]) == ()
    assert foreign_periods(seamed, images, [(64, 1)])[0].value == (0, 64)
    assert "every 64 columns," in foreign_periods(seamed, images, [(64, 1)])[0].text


def test_periods_that_are_no_whole_pixels_and_inputs_that_are_no_images_are_passed_over(
    images: list[Tensor], seamed: list[Tensor]
) -> None:
    assert foreign_periods(seamed, [torch.rand(1, 7) for _ in images], [(1.7, 1.7)])[0].value == (64, 64)
    assert foreign_periods(seamed, [None, None, None])[0].value == (64, 64)


def test_nan_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        foreign_periods([torch.full((1, 1, 64, 64), float("nan"))], data_range=1.0)


def test_a_resize_that_keeps_corners_has_no_seams(images: list[Tensor]) -> None:
    """Its knots are 127/15 pixels apart, and every other one falls on a pixel."""
    torch.manual_seed(0)
    resize = nn.Upsample(scale_factor=8, mode="bilinear", align_corners=True)
    net = nn.Sequential(nn.Conv2d(1, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1), resize)
    photos = [image[..., :128, :128] for image in images]
    with capture(net) as found, torch.no_grad():
        outputs = [net(photo) for photo in photos]
    (site,) = (captured.site for captured in found.sites)
    spacings = spacings_of(site, (128, 128))
    assert spacings[0] == (8, 8)
    assert spacings[1] == pytest.approx((127 / 15, 127 / 15))
    assert foreign_periods(outputs, photos, [site.period])[0].value == (17, 17), "this was taken for tiles"
    assert foreign_periods(outputs, photos, spacings) == ()


def site(op: str, period: tuple[float, ...], before: tuple[int, ...], after: tuple[int, ...]) -> Site:
    scale = tuple(large / small for large, small in zip(after, before, strict=True))
    return Site("up", op, 0, scale, period, (1, 4, *before), (1, 4, *after))


def test_knots_are_carried_on_by_all_that_follows() -> None:
    resize = site("interpolate", (8, 8), (16, 16), (32, 32))
    period, alone, through = spacings_of(resize, (128, 128))
    assert period == (8, 8)
    assert alone == pytest.approx((4 * 31 / 15,) * 2), "followed by transposed convolutions by 4"
    assert through == pytest.approx((127 / 15,) * 2), "followed by resizes that keep corners, too"


def test_only_resizes_have_corners_to_keep_and_only_where_they_enlarge() -> None:
    assert spacings_of(site("conv_transpose2d", (8, 8), (16, 16), (128, 128)), (128, 128)) == [(8, 8)]
    assert spacings_of(site("interpolate", (1, 8), (16, 16), (16, 128)), (16, 128))[1][0] == 1
    assert spacings_of(site("interpolate", (8, 8), (1, 1), (8, 8)), (8, 8))[1:] == [(1, 1), (1, 1)]


def test_sites_on_frames_one_by_one_know_rows_and_columns() -> None:
    assert last_directions((8, 4), 3) == (1, 8, 4)
    assert last_directions((2, 8, 4), 2) == (8, 4)
    assert spacings_of(site("interpolate", (1, 8, 8), (16, 16), (128, 128)), (9, 128, 128))[1] == pytest.approx(
        (1, 127 / 15, 127 / 15)
    )


def test_seams_of_volumes_and_video_are_named_by_their_directions() -> None:
    noise = torch.rand(2, 1, 70, 70, 70, generator=torch.Generator().manual_seed(0))
    volumes = [F.avg_pool3d(x[None], 7, 1) for x in noise]
    levels = torch.rand(2, 1, 4, 1, 4, generator=torch.Generator().manual_seed(1))
    tiles = 0.05 * levels.repeat_interleave(16, 2).repeat_interleave(16, 4)
    seamed = [x + step for x, step in zip(volumes, tiles, strict=True)]
    (finding,) = foreign_periods(seamed, volumes, [(2, 2, 2), (4, 4)])
    assert (finding.value, finding.error) == ((16, 0, 16), (0, 0, 0))
    assert "every 16 slices and 16 columns" in finding.text
    assert "every 16 frames and" in foreign_periods(seamed, volumes, names=("t", "y", "x"))[0].text
    assert foreign_periods(seamed, [torch.rand(1, 3, 64, 64)] * 2)[0].value == (16, 0, 16)


def test_signals_have_no_seams() -> None:
    assert foreign_periods([torch.rand(1, 1, 4096)], [torch.rand(1, 80, 16)], [(256.0,)], names=("t",)) == ()


def test_what_one_image_shows_waits_for_a_second(images: list[Tensor], seamed: list[Tensor]) -> None:
    (alone,) = foreign_periods(seamed[:1], images[:1], [(8, 8)])
    assert "if a second image shows them, too, it is put together from tiles" in alone.text
    assert "if a second image" not in foreign_periods(seamed, images, [(8, 8)])[0].text
