"""Lint on whole nets: what is refused, what real nets show, in which order, as what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from artifactlab import LintFinding, ModelError, lint
from artifactlab.demo.unet import DemoUNet, broken, healthy
from artifactlab.lint.rules import RULES


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: nn.LazyConvTranspose2d(4, 3), "lazy"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, 2, device="meta"), "meta"),
        (lambda: torch.jit.script(nn.Upsample(None, 2.0)), "ScriptModule"),
        (lambda: torch.zeros(3), "nn.Module"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, about scripting and lazy modules
def test_models_that_cannot_be_read_are_refused(model: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        lint(model(), trained=True)


def test_weights_that_are_no_numbers_are_refused(found: Any) -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2)
    nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        lint(layer, trained=True)
    nn.init.zeros_(layer.weight)
    assert found(layer, "unequal-sums") == []


def test_half_precision_does_not_matter(number: Any) -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2, 1)
    expected = number(layer, "unequal-sums")
    assert number(layer.bfloat16(), "unequal-sums") == pytest.approx(expected, rel=1e-2)


def test_the_demos_broken_layer_is_named_first() -> None:
    findings = lint(broken(), trained=True)
    assert [(f.site, f.rule) for f in findings if f.level == "warning"] == [
        ("dec.up2", "uneven-overlap"),
        ("dec.up2", "unequal-sums"),
    ]


def test_the_healthy_demo_has_no_warning() -> None:
    assert {f.level for f in lint(healthy(), trained=True)} == {"note"}


def test_the_untrained_demo_is_told_what_to_initialise() -> None:
    warnings = [(f.site, f.rule) for f in lint(DemoUNet(), trained=False) if f.level == "warning"]
    assert warnings == [("dec.up2", "unequal-sums"), ("dec.up3.0", "no-icnr")]


def test_warnings_come_first_in_the_order_of_the_rules(branching: Any) -> None:
    order = [rule.name for rule in RULES]
    findings = lint(nn.Sequential(nn.ConvTranspose2d(4, 4, 3, 2), branching(), nn.Upsample(None, 2)), trained=True)
    keys = [(f.level == "note", order.index(f.rule)) for f in findings]
    assert keys == sorted(keys)
    assert len({(f.site, f.rule) for f in findings}) == len(findings)


def test_findings_are_frozen_and_explain_themselves() -> None:
    for finding in lint(broken(), trained=True):
        assert isinstance(finding, LintFinding)
        assert finding.detail
        assert finding.why
        assert finding.advice
        with pytest.raises(AttributeError):
            finding.level = "note"
