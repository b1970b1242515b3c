"""Lightning's own logging takes the torchmetrics classes."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from artifactlab.integrations.torchmetrics import CheckerboardEnergy
from artifactlab.metrics import checkerboard_energy


def images() -> Tensor:
    """Six noisy ones, (6, 1, 64, 64): the brighter, the more of the output is the layer's grid."""
    noise = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    return torch.linspace(0.1, 0.9, 6)[:, None, None, None] + 0.1 * noise


class Enlarger(pl.LightningModule):
    """A transposed convolution that learns to enlarge, judged on its validation images."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ConvTranspose2d(1, 1, 2, 2)
        self.energy = CheckerboardEnergy()
        self.outputs: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.net(batch[:, :, ::2, ::2]) - batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.outputs.append(self.net(batch[:, :, ::2, ::2]))
        self.energy.update(self.outputs[-1])
        self.log("energy", self.energy)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_logs_the_mean_over_the_validation_images_of_each_epoch() -> None:
    model = Enlarger()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = DataLoader(images(), batch_size=4)
    trainer.fit(model, batches, batches)
    last = torch.cat(model.outputs[2:])
    torch.testing.assert_close(trainer.callback_metrics["energy"], checkerboard_energy(last))
    assert trainer.callback_metrics["energy"] > 0.05
