"""Records are read by attribute; by name as well where 0.1 had dicts."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from artifactlab.attribution.diagnosis import OUTPUT_NAMES
from artifactlab.attribution.records import HalfSamples, ModelSource, OutputMeasures

MEASURES = OutputMeasures(
    severity=4.0, lattice_amplitude=0.01, edge_jaggedness=0.1, axis_excess=0.2, checkerboard_energy=0.3
)


def test_what_0_1_read_from_dicts_is_read_from_records_alike() -> None:
    assert MEASURES["severity"] == MEASURES.severity == 4.0
    assert MEASURES.get("axis_excess") == 0.2
    assert "checkerboard_energy" in MEASURES
    assert dict(MEASURES) == {**MEASURES} == asdict(MEASURES)
    assert list(MEASURES.items()) == list(asdict(MEASURES).items())
    assert len(MEASURES) == 6


@pytest.mark.parametrize("name", ["severities", "keys", "__class__"])
def test_a_name_that_is_no_field_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        MEASURES[name]


def test_the_names_of_measures_are_those_of_the_record() -> None:
    assert OUTPUT_NAMES == ("severity", "lattice_amplitude", "edge_jaggedness", "axis_excess", "checkerboard_energy")
    assert tuple(MEASURES) == (*OUTPUT_NAMES, "slices")


def test_records_are_equal_where_their_fields_are() -> None:
    assert HalfSamples() == HalfSamples((), ())
    assert ModelSource("demo", None) != ModelSource()
    assert len({ModelSource("demo", None), ModelSource("demo", None)}) == 1
