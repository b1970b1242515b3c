"""What option files of BasicSR, neosr and traiNNer-redux name: registered, built and called as these packages do it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import artifactlab
from artifactlab.errors import InputError
from artifactlab.fix import EdgeAwareLoss
from artifactlab.integrations import basicsr
from artifactlab.integrations.basicsr import PACKAGES, register

METRICS = ("calculate_checkerboard", "calculate_jaggedness", "calculate_severity")
LOSSES = ("EdgeAwareL1Loss", "EdgeAwareLoss")


class Registry:
    """The registry of the three packages, which all have from fvcore; traiNNer-redux's does not tell cases apart."""

    def __init__(self, name: str, lower: bool) -> None:
        self.name, self.key = name, str.lower if lower else str
        self.things: dict[str, Any] = {}

    def register(self, thing: Any) -> None:
        name = self.key(thing.__name__)
        assert name not in self.things, f"An object named '{name}' was already registered in '{self.name}' registry!"
        self.things[name] = thing

    def get(self, name: str) -> Any:
        if self.key(name) not in self.things:
            raise KeyError(f"No object named '{name}' found in '{self.name}' registry!")
        return self.things[self.key(name)]

    def __contains__(self, name: str) -> bool:
        return self.key(name) in self.things


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """One of the packages, imported, with what builds a loss and calculates a metric of options."""
    for name in PACKAGES:
        monkeypatch.delitem(sys.modules, name, raising=False)

    def imported(name: str) -> SimpleNamespace:
        registries = ModuleType(f"{name}.utils.registry")
        registries.LOSS_REGISTRY = Registry("loss", lower=name == "traiNNer")
        registries.METRIC_REGISTRY = Registry("metric", lower=name == "traiNNer")
        for module in (ModuleType(name), ModuleType(f"{name}.utils"), registries):
            monkeypatch.setitem(sys.modules, module.__name__, module)

        def build_loss(options: dict[str, Any]) -> Any:
            options = deepcopy(options)
            return registries.LOSS_REGISTRY.get(options.pop("type"))(**options)

        def calculate_metric(data: dict[str, Any], options: dict[str, Any], **more: Any) -> float:
            options = deepcopy(options)
            return registries.METRIC_REGISTRY.get(options.pop("type"))(**data, **options, **more)

        return SimpleNamespace(registries=registries, build_loss=build_loss, calculate_metric=calculate_metric)

    return imported


def photo(side: int = 64) -> np.ndarray:
    """Discs of three colours, (H, W, 3) in blue, green and red as validation has them, 8 bits."""
    y, x = np.mgrid[:side, :side]
    discs = [1 / (1 + np.exp(np.hypot(y - side / 2, x - side * (0.4 + 0.1 * i)) - side * 0.3)) for i in range(3)]
    return np.uint8(np.round(40 + 150 * np.stack(discs, -1)))


def board(image: np.ndarray, by: float = 6.0) -> np.ndarray:
    """An image with a checkerboard of one pixel."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.uint8(image + by * (-1.0) ** (y + x)[..., None])


@pytest.mark.parametrize("name", PACKAGES)
def test_losses_and_metrics_are_found_by_their_names_in_each_package(name: str, package: Any) -> None:
    registries = package(name).registries
    assert register() == (name,)
    assert all(registries.LOSS_REGISTRY.get(loss) is getattr(basicsr, loss) for loss in LOSSES)
    assert all(registries.METRIC_REGISTRY.get(metric) is getattr(basicsr, metric) for metric in METRICS)
    assert register() == (name,)  # once more does nothing, which registries would refuse


def test_only_packages_that_are_in_use_are_touched(package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package("neosr")
    package("basicsr")
    assert register() == ("neosr", "basicsr")
    monkeypatch.setattr(basicsr, "find_spec", lambda name: pytest.fail("looked for one that is not imported"))
    assert register() == ("neosr", "basicsr")


def test_the_one_that_is_installed_is_imported_where_none_is_in_use(
    package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {name: sys.modules[name] for name in [package("traiNNer") and "traiNNer.utils.registry"]}
    monkeypatch.delitem(sys.modules, "traiNNer")
    monkeypatch.setattr(basicsr, "find_spec", lambda name: name == "traiNNer")
    monkeypatch.setattr(basicsr.importlib, "import_module", modules.__getitem__)
    assert register() == ("traiNNer",)


def test_none_at_all_is_one_line(package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basicsr, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="none of traiNNer, neosr, basicsr is installed") as error:
        register()
    assert "\n" not in str(error.value)


def test_a_name_that_is_taken_is_refused_and_nothing_is_registered(package: Any) -> None:
    registries = package("basicsr").registries
    registries.LOSS_REGISTRY.things["EdgeAwareLoss"] = object
    with pytest.raises(InputError, match="basicsr has another EdgeAwareLoss already"):
        register()
    assert list(registries.LOSS_REGISTRY.things) == ["EdgeAwareLoss"]


def test_a_loss_of_an_option_file_is_ours_with_lists_for_tuples(package: Any) -> None:
    trainer = package("traiNNer")
    register()
    loss = trainer.build_loss({"type": "edgeawareloss", "loss_weight": 7, "periods": [2, [4, 8]]})
    output, target = torch.rand(2, 2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    ours = EdgeAwareLoss(loss_weight=7, periods=[2, (4, 8)])
    assert torch.equal(loss(output, target), ours(output, target))


def test_the_loss_for_one_place_is_l1_and_ours(package: Any) -> None:
    trainer = package("basicsr")
    register()
    loss = trainer.build_loss({"type": "EdgeAwareL1Loss", "loss_weight": 0.5, "edge_weight": 10, "periods": [2]})
    output, target = torch.rand(2, 2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    output.requires_grad_()
    expected = 0.5 * ((output - target).abs().mean() + EdgeAwareLoss(loss_weight=10, periods=[2])(output, target))
    assert loss(output, target).item() == pytest.approx(expected.item())
    loss(output, target).backward()
    assert output.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_an_option_that_there_is_not_is_named_with_those_that_there_are(loss: str, package: Any) -> None:
    trainer = package("neosr")
    register()
    with pytest.raises(InputError, match=r"no option period; it has loss_weight, .*periods"):
        trainer.build_loss({"type": loss, "loss_weight": 1.0, "period": 2})


def test_a_weight_per_pixel_is_refused() -> None:
    with pytest.raises(InputError, match="no weight per pixel"):
        basicsr.EdgeAwareL1Loss()(torch.rand(1, 3, 48, 48), torch.rand(1, 3, 48, 48), weight=torch.ones(1))


def test_metrics_judge_the_output_as_validation_hands_it_over(package: Any) -> None:
    trainer = package("traiNNer")
    register()
    options = {"crop_border": 4, "test_y_channel": False, "better": "lower"}
    clean = {"img": photo(), "img2": photo()}
    bad = clean | {"img": board(photo())}
    for metric in ("calculate_severity", "calculate_checkerboard"):
        scores = [
            trainer.calculate_metric(data, {"type": metric, **options}, device=torch.device("cpu"))
            for data in (clean, bad)
        ]
        assert scores[0] < 0.05
        assert scores[1] > 0.5
    stairs = np.kron(photo(16), np.ones((4, 4, 1))).astype(np.uint8)
    scores = [trainer.calculate_metric({"img": x}, {"type": "calculate_jaggedness"}) for x in (photo(), stairs)]
    assert scores[0] < 0.05
    assert 1.0 < scores[1] < 1.2  # of blocks of 4, as replication by 4 reads


def test_severity_is_that_of_a_diagnosis() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 1), torch.nn.PixelShuffle(2)).eval()
    for name, value in zip(("weight", "bias"), (torch.eye(3).repeat_interleave(4, 0), torch.zeros(12)), strict=True):
        getattr(model[0], name).data = value[..., None, None] if name == "weight" else value
    model[0].bias.data[::4] = 0.02
    image = torch.from_numpy(photo(64)).permute(2, 0, 1)[None] / 255
    output = model(image).detach()[0].permute(1, 2, 0).numpy()
    reported = artifactlab.diagnose(model, image, data_range=1.0, fast=True).output.severity
    assert basicsr.calculate_severity(255 * output, period=2) == pytest.approx(reported, rel=1e-4)


def test_orders_borders_gray_and_luma_are_those_of_the_packages() -> None:
    image = board(photo(56))
    score = basicsr.calculate_checkerboard(image)
    assert basicsr.calculate_checkerboard(image.transpose(2, 0, 1), input_order="CHW") == score
    framed = np.pad(image, ((5, 5), (5, 5), (0, 0)), constant_values=255)
    assert basicsr.calculate_checkerboard(framed, crop_border=5) == score
    assert basicsr.calculate_checkerboard(image[..., 0]) == basicsr.calculate_checkerboard(image[..., :1])
    weights = np.array([0.114, 0.587, 0.299])  # blue, green, red
    luma = basicsr.calculate_checkerboard(image, test_y_channel=True)
    assert luma == pytest.approx(basicsr.calculate_checkerboard(image @ weights), abs=1e-4)
    gray = basicsr.calculate_checkerboard(image[..., 0])
    assert basicsr.calculate_checkerboard(image[..., :1], test_y_channel=True) == gray


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (photo(), {"input_order": "WHC"}, "input_order must be one of HWC, CHW, got 'WHC'"),
        (torch.rand(3, 64, 64), {}, "expected an image"),
        (photo()[None], {}, r"expected an image .*\(1, 64, 64, 3\)"),
        (photo(), {"crop_border": 10}, "needs at least 48x48 pixels for the period 8, got 44x44"),
        (photo(), {"period": 0}, "period"),
    ],
)
def test_what_is_no_image_or_too_small_is_refused(given: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        basicsr.calculate_severity(given, **options)


def test_the_examples_of_the_option_files_are_what_packages_take(package: Any) -> None:
    """The flow mappings of docstring and docs, read by hand: YAML is no dependency of ours."""
    trainer = package("basicsr")
    register()
    page = (Path(__file__).resolve().parent.parent.parent / "docs/how-to/training.md").read_text(encoding="utf-8")
    examples = re.findall(r"\{(type: .*)\}", f"{basicsr.__doc__}{page}")
    assert len(examples) == 6 + 4
    for example in examples:
        options = dict(part.split(": ", 1) for part in example.split(", ") if ": " in part)
        kind = options.pop("type")
        if kind.startswith("calculate"):
            assert trainer.calculate_metric({"img": photo()}, {"type": kind, "crop_border": 4}) >= 0
            assert options["better"] == "lower"
        elif kind != "L1Loss":
            numbers = {name: float(value) for name, value in options.items() if "weight" in name}
            assert trainer.build_loss({"type": kind, **numbers, "periods": [2, 4]})
