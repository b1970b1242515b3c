"""What a swap of each offender would leave, told beside a diagnosis."""

from __future__ import annotations

from types import ModuleType

import artifactlab
from artifactlab.fix import check_fix, replace_upsampler
from artifactlab.fix.trials import TrialSwap, trial_swaps
from artifactlab.lint.model_copy import full_copy


def test_each_offender_is_swapped_by_itself_and_measured_as_a_fix_is(decoders: ModuleType) -> None:
    model, images = decoders.twofold(), decoders.images(2, 32)
    diagnosis = artifactlab.diagnose(model, images, data_range=1.0)
    assert {found.site.name for found in diagnosis.offenders} == {"up1", "up2"}
    trials = trial_swaps(model, diagnosis, images)
    assert [trial.site for trial in trials] == [found.site.key for found in diagnosis.offenders]
    for offender, trial in zip(diagnosis.offenders, trials, strict=True):
        changed = full_copy(model)
        replace_upsampler(changed, offender.site, "bilinear")
        check = check_fix(model, changed, offender.site, images)
        assert (trial.severity, trial.psnr) == (check.severity, check.psnr)
        before, after = check.severity
        assert f"bilinear at {trial.site} would leave severity {after:.2f} of {before:.2f}, at " in str(trial)


def test_what_cannot_be_swapped_says_why_and_stops_none_of_the_others(decoders: ModuleType) -> None:
    model, images = decoders.Twofold(0.0, 0.1, called=True).eval(), decoders.images(2, 32)
    diagnosis = artifactlab.diagnose(model, images, data_range=1.0)
    trials = trial_swaps(model, diagnosis, images, ["padding", "bilinear"])
    said = {(trial.site, trial.mode): trial for trial in trials}
    assert said["up2/conv_transpose2d#0", "bilinear"].severity is not None
    refused = [trial for trial in trials if trial.refused]
    assert all(trial.severity is None and f"cannot be tried: {trial.refused}" in str(trial) for trial in refused)
    assert {trial.site for trial in refused} == {
        found.site.key for found in diagnosis.offenders if found.site.op == "interpolate"
    }


def test_an_output_that_stays_the_same_is_said_in_words() -> None:
    trial = TrialSwap("up", "weights", (2.0, 0.0), float("inf"))
    assert str(trial) == "weights at up would leave severity 0.00 of 2.00, at the same output"
