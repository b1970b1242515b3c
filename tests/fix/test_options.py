"""The records of training and judging options: the same as naming their fields, and nothing else is taken."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError
from types import ModuleType

import pytest

from artifactlab import capture
from artifactlab.errors import InputError
from artifactlab.fix import JudgingOptions, TrainingOptions, check_fix, distil, fix_site, replace_upsampler


def test_a_field_by_name_is_that_field_of_the_record(decoders: ModuleType) -> None:
    old = decoders.gridded()
    losses = []
    for options in (
        {"training": TrainingOptions(steps=3, learning_rate=1e-3), "judging": JudgingOptions(data_range=2.0)},
        {"steps": 3, "learning_rate": 1e-3, "data_range": 2.0},
        {"training": TrainingOptions(steps=9, learning_rate=1e-3), "steps": 3, "data_range": 2.0},
    ):
        new = copy.deepcopy(old)
        made = distil(new, old, replace_upsampler(new, "up"), decoders.images(2), **options)
        assert made.steps == 3
        losses.append(made.loss)
    assert losses[0] == losses[1] == losses[2]


def test_all_steps_judge_in_the_range_of_the_record(decoders: ModuleType) -> None:
    old, images = decoders.gridded(), decoders.images(1)
    made = fix_site(old, images, "up", judging=JudgingOptions(data_range=2.0))
    assert made.before.config["data_range"] == made.after.config["data_range"] == 2.0
    with capture(old) as cap:
        old(images[0])
    site = cap.sites[0].site
    assert made.check == check_fix(old, made.model, site, images, data_range=2.0)
    assert made.check == check_fix(old, made.model, site, images, judging=JudgingOptions(data_range=2.0))


def test_what_no_record_has_is_refused_with_what_there_is(decoders: ModuleType) -> None:
    model, images = decoders.gridded(), decoders.images(1)
    with pytest.raises(TypeError, match="no option 'step'; expected one of neighbours, steps, seconds"):
        fix_site(model, images, step=3)
    with pytest.raises(TypeError, match="no option 'steps'; expected one of output, data_range, seed"):
        check_fix(model, model, None, images, steps=3)  # type: ignore[arg-type]


def test_a_number_out_of_range_in_a_record_is_refused(decoders: ModuleType) -> None:
    old = decoders.gridded()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    with pytest.raises(InputError, match=r"must be positive, .* got 0, 600\.0, None, None, 2\.0"):
        distil(new, old, swap, decoders.images(1), training=TrainingOptions(steps=0))


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainingOptions().steps = 3  # type: ignore[misc]


def test_without_a_range_all_steps_take_the_one_that_diagnose_finds(decoders: ModuleType) -> None:
    inputs = [2 * image - 1 for image in decoders.images(2)]
    inputs[0][..., 0, :2] = inputs[0].new_tensor([-1.0, 1.0])  # from black to white
    old = decoders.gridded()
    made = fix_site(old, inputs, "up")
    assert made.before.config.data_range == made.after.config.data_range == 2.0
    assert made.check.severity[0] == pytest.approx(made.before.output.severity)
    assert made.check.severity[1] == pytest.approx(made.after.output.severity, abs=1e-6)
    with capture(old) as cap:
        old(inputs[0])
    site = cap.sites[0].site
    assert check_fix(old, made.model, site, inputs) == check_fix(old, made.model, site, inputs, data_range=2.0)
    losses = []
    for data_range in (None, 2.0, 1.0):
        new = copy.deepcopy(old)
        losses.append(distil(new, old, replace_upsampler(new, "up"), inputs, steps=2, data_range=data_range).loss)
    assert losses[0] == losses[1] != losses[2]
