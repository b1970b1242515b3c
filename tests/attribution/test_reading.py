"""A diagnosis that was written is read back as it was, and what is none is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import by_hand
import pytest
import torch

from artifactlab import Diagnosis
from artifactlab.errors import InputError
from artifactlab.fix import EdgeAwareLoss, SitePenalty


@pytest.mark.parametrize("made", [by_hand.a_signal, by_hand.a_volume, by_hand.a_video])
@pytest.mark.parametrize("place", ["diagnosis.json", ""])
def test_a_diagnosis_is_read_back_from_its_file_or_its_folder(
    made: Callable[[], Diagnosis], place: str, tmp_path: Path
) -> None:
    given = made()
    (tmp_path / "diagnosis.json").write_text(given.to_json())
    again = Diagnosis.load(tmp_path / place)
    assert again == replace(given, finding="")  # which is the verdict's, and of headings
    assert again.to_json() == given.to_json()
    assert again.to_html().startswith("<!DOCTYPE html>")


def test_losses_aim_at_the_diagnosis_that_a_file_holds(tmp_path: Path) -> None:
    given, file = by_hand.a_volume(), tmp_path / "diagnosis.json"
    file.write_text(given.to_json())
    assert EdgeAwareLoss.from_diagnosis(file).periods == EdgeAwareLoss.from_diagnosis(given).periods
    assert isinstance(SitePenalty.from_diagnosis(torch.nn.Identity(), str(file)), SitePenalty)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot read"),
        ("[]", "holds no diagnosis"),
        ('{"sites": [], "schema_version": "0.9"}', "another version"),
        (json.dumps({**by_hand.a_signal().to_dict(), "sites": [{}]}), "is damaged"),
        (json.dumps({**by_hand.a_signal().to_dict(), "output": None}), "is damaged"),
    ],
)
def test_what_is_no_diagnosis_is_said_with_what_is_expected(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=why):
        Diagnosis.load(tmp_path / "x.json")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*no\.json.*No such file"):
        EdgeAwareLoss.from_diagnosis(tmp_path / "no.json")
