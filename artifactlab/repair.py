"""A site's output with its lattice removed, and everything else left as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.evidence import lattice_period
from artifactlab.metrics.gradients import gaussian
from artifactlab.sites import Growth


def repair(growth: Growth) -> Tensor:
    """The site's output as a smooth upsampler would have made it.

    A nearest resize is swapped for a cubic one of the same input. Everything else keeps its output, less its local
    phase pattern, which is narrow-band, and less the part of its blocks that is replicated, which is not.
    """
    with torch.no_grad(), torch.autocast(growth.output.device.type, enabled=False):
        output = growth.output.detach()
        if growth.nearest and growth.input is not None:
            return output + ramps(growth.input.detach(), output.shape[-2:]).to(output.dtype)
        scale = lattice_period(growth.scale)
        return smooth_blocks(remove_content_lattice(remove_lattice(output, scale), scale), scale)


def remove_lattice(activation: Tensor, period: tuple[int, int]) -> Tensor:
    """Notch out the lattice frequencies of `period`, everywhere in an (N, C, H, W) activation.

    At each pixel: the Gaussian mean of the pixels of the same phase, minus the Gaussian mean of all pixels, is the
    local phase pattern, and is subtracted. In frequency that is a Gaussian notch of 0.16 / period cycles per pixel
    around each lattice frequency; constants pass unchanged, borders included, as means are taken over
    inside pixels only.

    >>> import torch
    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8)[None, None]
    >>> remove_lattice(board, (2, 2))[..., 6:-6, 6:-6].std().item() < 1e-3
    True
    """
    if period == (1, 1):
        return activation.clone()
    planes = activation.float().flatten(0, 1).unsqueeze(1)
    sigma = (period[0] * WIDE, period[1] * WIDE)
    same_phase = _local_mean(planes, sigma, period)
    everything = _local_mean(planes, sigma, (1, 1))
    return (planes - same_phase + everything).reshape(activation.shape).to(activation.dtype)


def _local_mean(planes: Tensor, sigma: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Gaussian mean over the pixels a multiple of `stride` away, normalised over those inside the image."""
    for axis in (0, 1):
        kernel = gaussian(sigma[axis], planes)
        offset = torch.arange(kernel.numel(), device=planes.device) - kernel.numel() // 2
        kernel = torch.where(offset % stride[axis] == 0, kernel, 0.0)
        kernel = kernel.view((1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1))
        inside = F.conv2d(torch.ones_like(planes[:1]), kernel, padding="same")
        planes = F.conv2d(planes, kernel, padding="same") / inside
    return planes


UP = 2
WIDE = 2


def remove_content_lattice(activation: Tensor, scale: tuple[int, int]) -> Tensor:
    """Take out what a block's phases have of the block's own means, channels mixed: a pattern that follows the content."""
    n, c, h, w = activation.shape
    (sh, sw) = scale
    if scale == (1, 1):
        return activation
    values = activation.float()
    whole = F.pad(values, (0, -w % sw, 0, -h % sh), mode="replicate")
    means = F.avg_pool2d(whole, scale)
    detail = (means - _local_mean(means.flatten(0, 1).unsqueeze(1), (1, 1), (1, 1)).view_as(means)).transpose(0, 1).flatten(1)
    hh, ww = means.shape[-2:]
    phases = whole.view(n, c, hh, sh, ww, sw).permute(1, 3, 5, 0, 2, 4).reshape(c, sh * sw, -1)
    pattern = phases - phases.mean(1, keepdim=True)
    gram = detail @ detail.T
    ridge = 1e-3 * gram.diagonal().mean().clamp_min(1e-20)
    gains = torch.linalg.solve(gram + ridge * torch.eye(c, device=gram.device), detail @ pattern.flatten(0, 1).T)
    predicted = (gains.T @ detail).view(c, sh * sw, -1)
    own = remove_lattice(detail.view(c, n, hh, ww).transpose(0, 1), (UP, UP)).transpose(0, 1).flatten(1)
    used = (gains.T @ own).view(c, sh * sw, -1)
    explained = predicted.square().sum((1, 2)) / pattern.square().sum((1, 2)).clamp_min(1e-20)
    predicted = used * ((explained - 0.4) / 0.4).clamp(0, 1)[:, None, None]
    predicted = predicted.view(c, sh, sw, n, hh, ww).permute(3, 0, 4, 1, 5, 2).reshape(n, c, hh * sh, ww * sw)
    return (values - predicted[..., :h, :w]).to(activation.dtype)


def smooth_blocks(activation: Tensor, scale: tuple[int, int]) -> Tensor:
    """Put the ramps back into blocks of `scale` that an upsampler has levelled, channel by channel.

    A smooth upsampler varies within its blocks about as the cubic interpolation of the blocks' means does; nearest
    replication does not at all. The share of that variation that a channel lacks, by least squares, is added to it.
    Channels that vary as much or more are left alone, whatever else they do, and so is a grid that came with the
    input: it is another site's.

    >>> import torch
    >>> ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    >>> steps = torch.nn.functional.avg_pool2d(ramp, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    >>> torch.allclose(smooth_blocks(steps, (2, 2))[..., 1:-1], ramp[..., 1:-1])
    True
    """
    if scale == (1, 1):
        return activation
    values = activation.float()
    h, w = values.shape[-2:]
    whole = F.pad(values, (0, -w % scale[1], 0, -h % scale[0]), mode="replicate")
    means = F.avg_pool2d(whole, scale)
    varying = (whole - F.interpolate(means, whole.shape[-2:], mode="nearest"))[..., :h, :w]
    wanted = ramps(means, whole.shape[-2:])[..., :h, :w]
    over = (0, 2, 3)
    there = (varying.square().sum(over) / wanted.square().sum(over).clamp_min(1e-30)).sqrt()
    lacking = (1 - there).clamp(0, 1)
    return (values + lacking[:, None, None] * wanted).to(activation.dtype)


def ramps(source: Tensor, size: torch.Size) -> Tensor:
    """What turns the nearest resize of `source` to `size` into a smooth one.

    A grid of period 2 in `source`, at its Nyquist frequency, stays as nearest resizing leaves it: interpolation would
    halve it, and the site that drew it would go free.
    """
    smooth = remove_lattice(source.float(), (2, 2))
    cubic = F.interpolate(smooth, size, mode="bicubic", align_corners=False)
    return cubic - F.interpolate(smooth, size, mode="nearest")
