"""What nets of `training.py` are trained by beside L1 and the losses that are compared: what such nets need."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_nets import Discriminator

ADVERSARIAL = 0.05
"""weight of the discriminator's judgement beside an L1 of weight 1"""
DIVERGENCE = 1e-3
"""weight of the divergence from a normal distribution, in nats per number of the code, beside an L1 of weight 1"""
RATE, BETAS = 5e-4, (0.5, 0.999)
"""of the discriminator's Adam: slower than the generator's, lest it win"""
Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, output, target) -> what is added to L1; one for each training, as it may learn"""


def plain(model: nn.Module, output: Tensor, target: Tensor) -> Tensor:
    """Nothing."""
    return output.new_zeros(())


def variational(model: nn.Module, output: Tensor, target: Tensor) -> Tensor:
    """The divergence of the codes of the model's last pass from a normal distribution (Kingma & Welling, 2014)."""
    assert isinstance(model.divergence, Tensor)
    return DIVERGENCE * model.divergence


class Adversarial:
    """A discriminator of patches, which learns at each call: the non-saturating loss (Goodfellow et al., 2014)."""

    def __init__(self) -> None:
        self.net = Discriminator()
        self.optimiser = torch.optim.Adam(self.net.parameters(), RATE, BETAS)

    def __call__(self, model: nn.Module, output: Tensor, target: Tensor) -> Tensor:
        self.learn(output.detach(), target)
        for weight in self.net.parameters():
            weight.requires_grad_(False)
        loss = ADVERSARIAL * F.softplus(-self.net(output)).mean()
        for weight in self.net.parameters():
            weight.requires_grad_(True)
        return loss

    def learn(self, output: Tensor, target: Tensor) -> None:
        """One step towards telling the two apart."""
        real, fake = self.net(torch.cat((target, output))).chunk(2)
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
