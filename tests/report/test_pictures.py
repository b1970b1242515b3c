"""Values of outputs as pixels of pictures."""

from __future__ import annotations

import torch

from artifactlab.report.pictures import displayable


def test_what_is_no_picture_is_stretched_rather_than_drawn_black() -> None:
    """Depths in metres, and the output of a net that is not trained yet, of a few hundredths."""
    values = torch.linspace(0, 1, 64).reshape(1, 8, 8)
    for scale, offset in ((0.02, 0.0), (40.0, 0.0), (0.04, -0.02), (0.15, -0.04), (2.0, -1.0)):
        assert torch.from_numpy(displayable(scale * values + offset)).allclose(values[0], atol=1e-5)


def test_pictures_are_drawn_as_they_are() -> None:
    dark, flat = 0.1 * torch.rand(1, 8, 8) + 0.05, torch.full((1, 8, 8), 0.5)
    for image in (dark, flat):
        assert torch.from_numpy(displayable(image)).equal(image[0])
