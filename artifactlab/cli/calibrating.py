"""`artifactlab score GOOD --calibrate BAD -o gates.toml`: gates for a wanted share of false alarms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from artifactlab.cli.files import write_text
from artifactlab.cli.verbosity import complain
from artifactlab.comparing.calibration import calibrate
from artifactlab.errors import InputError
from artifactlab.report.calibration_text import calibration_text
from artifactlab.report.terminal import print_out
from artifactlab.scoring.score_report import ScoreReport

Scored = Callable[[tuple[str, ...]], ScoreReport]
"""What scores the images that paths name."""


def write_calibration(scored: Scored, good: tuple[str, ...], bad: str, false_alarms: float, target: Path | None) -> int:
    """Score both, write the gates and print what they catch; the code to exit with, 2 if an image could not be read."""
    if target is None:
        raise InputError("--calibrate writes a file of gates: say where, with -o gates.toml")
    reports = scored(good), scored((bad,))
    calibration = calibrate(*reports, false_alarms)
    write_text(calibration.to_toml(), target)
    print_out(calibration_text(calibration))
    unreadable = sum(len(report.unreadable) for report in reports)
    if unreadable:
        complain(f"{unreadable} of {sum(len(report.images) for report in reports)} images could not be read")
    return 2 if unreadable else 0
