"""`EdgeAwareLoss` aimed at the lattices that a diagnosis blames."""

from __future__ import annotations

from typing import Any

import pytest

from artifactlab import InputError
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import DiagnoseSettings, Effect, OutputMeasures, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.fix import EdgeAwareLoss
from artifactlab.fix.loss import WEIGHTS


def diagnosis(*sites: tuple[str, tuple[float, float]], data_range: float = 1.0) -> Diagnosis:
    """One with a site of each verdict and period."""
    found = tuple(
        SiteDiagnosis(
            Site(f"up{k}", "interpolate", 0, (2, 2), period, (1, 1, 8, 8), (1, 1, 16, 16)),
            Evidence(0.0, 0.0, 0.5),
            Effect(1.0, None, None, 0.5, "checkerboard"),
            verdict,  # type: ignore[arg-type]
            k + 1,
            k + 1,
        )
        for k, (verdict, period) in enumerate(sites)
    )
    settings = DiagnoseSettings(
        1,
        "",
        9,
        None,
        data_range,
        "*",
        fast=False,
        calls=False,
        verify_all=False,
        until_sure=None,
        seed=0,
        period=(8, 8),
        confidence=0.9,
    )
    return Diagnosis(found, "What it says.", OutputMeasures(1.0, 1 / 255, 0.0, 0.0, 0.0), settings)


def test_the_offenders_lattices_and_the_range_are_taken_from_a_diagnosis() -> None:
    found = diagnosis(
        ("offender", (8, 8)),
        ("harmless", (3, 3)),
        ("offender", (2, 4.5)),
        ("offender", (8.0, 8.0)),
        ("clean", (2, 2)),
        data_range=255,
    )
    loss = EdgeAwareLoss.from_diagnosis(found, reduction="sum")
    assert loss.periods == ((2, 1), (8, 8))  # 4.5 is no fixed lattice
    assert (loss.data_range, loss.reduction, loss.weights) == (255, "sum", WEIGHTS)
    assert EdgeAwareLoss.from_diagnosis(found, data_range=2.0).data_range == 2.0


@pytest.mark.parametrize("sites", [[], [("harmless", (4, 4))], [("offender", (1.5, 2.5))]])
def test_a_diagnosis_without_a_lattice_to_blame_is_refused(sites: list[Any]) -> None:
    with pytest.raises(InputError, match=r"names no offender with a lattice .* It says: What it says\."):
        EdgeAwareLoss.from_diagnosis(diagnosis(*sites))


def test_a_diagnosis_and_periods_contradict_each_other() -> None:
    with pytest.raises(InputError, match=r"EdgeAwareLoss\(periods=\.\.\.\) takes yours"):
        EdgeAwareLoss.from_diagnosis(diagnosis(("offender", (4, 4))), periods=[2])
