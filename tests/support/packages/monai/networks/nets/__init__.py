"""Networks by name, beside what is none."""

from pathlib import Path as Path

from torch.nn import Conv2d as Conv2d

from monai.networks.nets.unet import UNet as UNet
