"""What is said of weights that were never trained."""

from __future__ import annotations

import torch
from torch import nn

from artifactlab import diagnose
from artifactlab.attribution.untrained import UNTRAINED, untrained_note
from artifactlab.demo.unet import DemoUNet, broken, healthy


def test_random_weights_are_said_to_be_and_trained_ones_are_not() -> None:
    assert untrained_note(DemoUNet()) == UNTRAINED
    assert untrained_note(healthy()) == untrained_note(broken()) == ""


def test_without_weights_there_is_nothing_to_train() -> None:
    assert untrained_note(nn.Upsample(scale_factor=2)) == ""


def test_the_verdict_ends_with_the_note_and_sites_keep_their_words() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ConvTranspose2d(4, 1, 3, 2, 1, 1))
    flat = 0.5 + 0.01 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    random = diagnose(net, flat)
    assert UNTRAINED in random.verdict
    assert random.offenders[0].site.key == "1/conv_transpose2d#0"
    net[0].bias.data += torch.arange(4.0)
    net[1].bias.data += 1
    net[1].weight.data *= 10
    moved = diagnose(net, flat)
    assert UNTRAINED not in moved.verdict
    assert moved.offenders[0].site.key == "1/conv_transpose2d#0"
