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

    Replication (nearest, or blocks that are exactly constant) is broadband, so the operator itself is swapped for a
    bilinear resize of the same input. Anything learned keeps its output, less its local phase pattern.
    """
    with torch.no_grad(), torch.autocast(growth.output.device.type, enabled=False):
        output = growth.output.detach()
        if growth.nearest and growth.input is not None:
            return _bilinear(growth.input.detach(), output)
        scale = lattice_period(growth.scale)
        if _is_replicated(output, scale):
            return _bilinear(output[..., :: scale[0], :: scale[1]], output)
        return remove_lattice(output, scale)


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
    same_phase = _local_mean(planes, period, period)
    everything = _local_mean(planes, period, (1, 1))
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


def _is_replicated(output: Tensor, scale: tuple[int, int]) -> bool:
    """Whether every scale-sized block of the output is exactly constant."""
    (sh, sw), (h, w) = scale, output.shape[-2:]
    if scale == (1, 1) or h % sh or w % sw:
        return False
    blocks = output.reshape(*output.shape[:-2], h // sh, sh, w // sw, sw)
    return bool((blocks == blocks[..., :, :1, :, :1]).all())


def _bilinear(source: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(source.float(), like.shape[-2:], mode="bilinear", align_corners=False).to(like.dtype)
