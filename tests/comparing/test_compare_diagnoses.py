"""Two diagnoses compared: better, worse, or cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn

import artifactlab
from artifactlab import Diagnosis, InputError, compare
from artifactlab.attribution.records import HalfSamples
from artifactlab.comparing.changes import MIN_CROPS

SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare.json").read_text())


def test_a_cured_diagnosis_is_better_and_nothing_is_left(bad: Diagnosis, healthy: Diagnosis) -> None:
    outcome = compare(bad, healthy)
    assert (outcome.kind, outcome.verdict) == ("diagnoses", "better")
    assert [metric.name for metric in outcome.metrics] == ["severity", "lattice_amplitude", "edge_jaggedness"]
    severity = outcome.metrics[0]
    assert (severity.before, severity.after) == (bad.output.severity, healthy.output.severity)
    assert severity.pairs == bad.config.crops >= MIN_CROPS
    assert outcome.text.endswith("Nothing is left that shows.")
    assert (outcome.offenders_gone, outcome.offenders_new) == (("up/conv_transpose2d#0",), ())
    jsonschema.validate(json.loads(outcome.to_json()), SCHEMA)


def test_the_amplitude_of_half_samples_is_in_the_units_of_all_of_it(bad: Diagnosis, healthy: Diagnosis) -> None:
    amplitude = compare(bad, healthy).metrics[1]
    assert amplitude.verdict == "better"
    assert amplitude.low is not None
    assert amplitude.high is not None
    assert amplitude.low < amplitude.change < amplitude.high
    assert amplitude.high - amplitude.low < abs(amplitude.change)


def test_a_new_defect_is_worse_and_its_site_named(bad: Diagnosis, healthy: Diagnosis) -> None:
    outcome = compare(healthy, bad)
    assert outcome.verdict == "worse"
    assert outcome.offenders_new == ("up/conv_transpose2d#0",)


def test_most_of_a_cure_is_better_without_being_gone(diagnosed: Callable[..., Diagnosis], bad: Diagnosis) -> None:
    outcome = compare(bad, diagnosed(0.06))
    assert outcome.verdict == "better"
    assert "Nothing is left" not in outcome.text


def test_two_clean_outputs_cannot_be_told_apart(diagnosed: Callable[..., Diagnosis], healthy: Diagnosis) -> None:
    outcome = compare(healthy, diagnosed(0.002))
    assert outcome.verdict == "cannot tell"
    assert "shows in neither" in outcome.text


def test_half_samples_spread_as_the_error_of_all_crops_does(bad: Diagnosis) -> None:
    assert len(bad.half_samples.grid) == len(bad.half_samples.steps) == 200
    total = np.add(bad.half_samples.grid, bad.half_samples.steps)
    assert total.mean() == pytest.approx(bad.output.severity, rel=0.1)
    assert [set(row) for row in bad.per_input] == [{"severity", "lattice_amplitude", "edge_jaggedness"}]
    assert bad.per_input[0].severity == pytest.approx(bad.output.severity)


def test_few_crops_cannot_be_told_and_the_reason_is_given(diagnosed: Callable[..., Diagnosis]) -> None:
    before, after = diagnosed(0.1, side=40), diagnosed(0.0, side=40)
    assert before.half_samples == HalfSamples()
    outcome = compare(before, after)
    assert outcome.verdict == "cannot tell"
    assert "1 crops of outputs, 8 are needed" in outcome.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs_sha256": "0" * 64}, "different inputs: diagnose both models on the same images"),
        ({"crops": 18}, r"different numbers of crops \(9 and 18\)"),
        ({"output": "aux"}, r"different outputs of the model \(None and aux\): diagnose both with the same --output"),
        ({"seed": 1}, r"different seeds \(0 and 1\): diagnose both with the same --seed"),
        ({"period": (4, 4)}, "different lattices"),
        ({"data_range": 2.0}, r"different data ranges \(1 and 2\)"),
    ],
)
def test_diagnoses_that_were_not_made_alike_are_refused(bad: Diagnosis, changed: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(bad, replace(bad, config=replace(bad.config, **changed)))


def test_other_inputs_have_another_digest_and_the_same_ones_the_same(
    diagnosed: Callable[..., Diagnosis], bad: Diagnosis, healthy: Diagnosis
) -> None:
    assert bad.config.inputs_sha256 == healthy.config.inputs_sha256
    assert diagnosed(0.0, side=40).config.inputs_sha256 != diagnosed(0.0, side=40, content=1).config.inputs_sha256


def test_a_severity_that_differs_by_rounding_is_the_same(bad: Diagnosis) -> None:
    nudged = replace(bad, output=replace(bad.output, severity=bad.output.severity * (1 + 5e-5)))
    row = compare(bad, nudged).metrics[0]
    assert (row.change, row.low, row.reason) == (0.0, None, "it is the same")


def of_a_signal(strength: float) -> Diagnosis:
    """A vocoder's last layer with a tone at a quarter of the sampling rate, as loud as `strength`."""
    layer = nn.ConvTranspose1d(1, 1, 8, 4, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 3, 5, 7, 7, 5, 3, 1]) / 8)
        layer.weight[..., ::4] += strength
    sounds = 0.3 + 0.2 * torch.randn(6, 1, 1, 1024, generator=torch.Generator().manual_seed(0)).cumsum(-1) / 30
    return artifactlab.diagnose(layer, list(sounds), data_range=2.0)


def test_signals_are_compared_by_what_is_heard_in_them_and_not_by_what_is_seen() -> None:
    before, after = of_a_signal(0.004), of_a_signal(0.0)
    amplitude = compare(before, after).metrics[1]
    assert before.output.severity > 1
    assert before.output.lattice_amplitude < 1 / 255  # of a picture, nobody would see it
    assert amplitude.verdict == "better"
    assert compare(before, after).metrics[2].unit == "samples"
