"""What the passes of one training step show: numbers by names that every logger takes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import CapturedSite, Site, SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.errors import CaptureError
from artifactlab.models.layout import Layout
from artifactlab.models.outputs import first_image
from artifactlab.scoring.periods import joint_period
from artifactlab.scoring.severity import measure_severity

PICTURES = 4
"""Images of a batch that the output's severity is measured on: a curve shows a trend, and a pass has a price."""


class WatchedPasses(Capture):
    """A capture that goes on where a site cannot be measured: its monitor is no reason for training to end.

    Args:
        model: what is watched; where it is in eval mode and has no gradients, it validates, which is not measured.
        wanted: the only sites to measure; all of them where there is none.
        keeps_images: whether to keep the first images of the last pass in which something grew.
    """

    def __init__(self, model: nn.Module, wanted: Collection[SiteKey] = (), keeps_images: bool = False) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.images: Tensor | None = None
        """First images (N, C, *space) of the last pass in which something grew; None where none are wanted."""
        self._model, self._wanted, self._keeps_images = model, wanted, keeps_images
        self._whole: set[SiteKey] = set()
        """Sites that are a module, or in one of torch's own: the module's name is theirs."""
        self._grew = False

    def visit(self, visit: Visit) -> None:
        """Measure one site's activation, if it can be."""
        if not (self._model.training or torch.is_grad_enabled()):
            return
        self._grew = True
        if self._wanted and visit.key not in self._wanted:
            return
        output = visit.growth.output
        if hasattr(output, "placements"):  # a DTensor: its sums would wait for ranks that measure nothing
            self.problems.append(f"the activation at {visit.key.operation} is spread over processes; it is left out")
            return
        if visit.line is None or visit.key.op == "module":
            self._whole.add(visit.key)
        try:
            with torch.autocast(output.device.type, enabled=False):  # it would round products
                super().visit(visit)
        except CaptureError as error:
            self.problems.append(str(error))

    def finish(
        self, result: Any, wiring: Wiring, output: str | int | None = None, layout: Layout | None = None
    ) -> None:
        """Note the output of a pass in which something grew; a discriminator's is of no interest."""
        if not self._grew:
            return
        self._grew = False
        super().finish(result, wiring, output, layout)
        image = first_image(result) if self._keeps_images else None
        if image is not None:
            self.images = image[:PICTURES].detach().float().clone()

    def measured(self) -> list[CapturedSite]:
        """The layers that could be measured; none is a problem if there is no other."""
        try:
            layers = self.layers
        except CaptureError:
            layers = []
        if not layers and not self.problems:
            wanted = f" at {', '.join(map(str, self._wanted))}" if self._wanted else ""
            self.problems.append(
                f"no upsampling was seen{wanted} in this step, so nothing is logged; check that the watched module runs"
                " in it with gradients and enlarges something, or leave the monitor out"
            )
        return layers

    def scalars(self, layers: list[CapturedSite], data_range: float | None) -> dict[str, float]:
        """What layers show, by name, and how bad the output is, if its data range is known."""
        scores = {}
        for found in layers:
            name = self._name(found.site)
            scores[f"{name}/grid"] = found.evidence.checkerboard_energy
            scores[f"{name}/stair_steps"] = found.evidence.edge_jaggedness
            scores[f"{name}/axis_excess"] = found.evidence.axis_excess
        severity = self._severity(layers, data_range)
        return scores if severity is None else {**scores, "output/severity": severity}

    def period(self, layers: list[CapturedSite]) -> tuple[int, ...]:
        """The smallest lattice in the kept images that holds those of all layers."""
        size = () if self.images is None else self.images.shape[2:]
        return joint_period([found.site.period for found in layers if len(found.site.period) == len(size)], size)

    def _severity(self, layers: list[CapturedSite], data_range: float | None) -> float | None:
        images = self.images
        if data_range is None or images is None or not bool(images.isfinite().all()):
            return None
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return sum(measure_severity(images, self.period(layers), data_range).together())

    def _name(self, site: Site) -> str:
        """By the module's name where the module is the layer; else its call in words, the first without a number.

        Not the key, as MLflow takes no `#`; and nothing that depends on which other sites there are.
        """
        is_module = site.name and site.first_key in self._whole
        words = site.name if is_module else site.first_key.operation
        return words if site.call == 0 else f"{words}-{site.call}"
