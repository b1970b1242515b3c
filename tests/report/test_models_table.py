"""Where two models part, as a table."""

from __future__ import annotations

from artifactlab.comparing.model_comparison import LatticePair, LatticeStrength, ModelComparison
from artifactlab.report.models_table import models_text


def test_numbers_that_say_nothing_leave_room_for_the_names() -> None:
    """Two models of random weights, where there is hardly any content to go by."""
    alike, apart, loud = LatticeStrength(0.1, 0.5), LatticeStrength(0.004, 0.2), LatticeStrength(2.2e10, 41.0)
    places = (
        LatticePair("ups.0/interpolate#0", "ups.0/interpolate#0", (1, 1), (8,), alike, alike, apart, apart, "same"),
        LatticePair("output", "output", (1, 1), (64,), alike, alike, loud, loud, "cannot tell"),
    )
    settings = {"inputs": 1, "output": None, "data_range": 1.0, "seed": 0}
    text = models_text(
        ModelComparison("same", "", None, places, (0.0, 0.0), (), (), (), ((0.0,), (0.0,)), settings)  # type: ignore[arg-type]
    )
    assert "ups.0/interpolate#0" in text
    assert "25.5, 25.5 (1.0; 1.0)" in text
    assert "25.5, 25.5 (6e+12; 6e+12)" in text
