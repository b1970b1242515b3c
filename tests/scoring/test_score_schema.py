"""A score report as JSON is what its schema says."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from artifactlab.scoring import METRICS, score_images

SCHEMA = json.loads((files("artifactlab") / "schemas" / "score.json").read_text())


def photo(seed: int = 0, height: int = 64, width: int = 80) -> np.ndarray:
    """Smooth coloured blobs, 8 bits."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return (255 * (blurred - blurred.min()) / np.ptp(blurred)).astype(np.uint8)


Save = Callable[[str, np.ndarray], Path]


def test_report_validates_against_its_schema(save: Save, tmp_path: Path) -> None:
    save("out/a.png", photo())
    save("out/b.png", photo(0, 8, 8))
    for name in "ab":
        save(f"ref/{name}.png", photo())
    report = score_images([tmp_path / "out"], reference=tmp_path / "ref", gates=["edge_jaggedness>1e-05"])
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA, jsonschema.Draft202012Validator)
    assert report.to_dict()["config"] == {
        "paths": [str(tmp_path / "out")],
        "reference": str(tmp_path / "ref"),
        "metrics": list(METRICS),
        "recursive": False,
        "column": None,
        "reference_column": None,
        "every": None,
        "gates": ["edge_jaggedness>1e-05"],
        "periods": [2, 16],
    }


def test_report_of_nothing_but_errors_has_nulls_and_still_validates(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    data = score_images([tmp_path]).to_dict()
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["summary"]["axis_excess"] == {"mean": None, "median": None, "min": None, "max": None, "count": 0}


def test_schema_takes_the_metric_of_any_package_and_no_other_type(save: Save) -> None:
    data = score_images([save("a.png", photo())], metrics=["axis_excess"]).to_dict()
    for name, value, valid in [
        ("my-metric", -3.5, True),
        ("my-metric", None, True),
        ("my-metric", "3.5", False),
        ("my-metric", True, False),
        ("my metric", 3.5, False),
        ("my>metric", 3.5, False),
    ]:
        data["images"][0]["scores"] = {name: value}
        assert jsonschema.Draft202012Validator(SCHEMA).is_valid(data) is valid, (name, value)


def test_schema_refuses_nan_as_text_and_unknown_fields(save: Save) -> None:
    data = score_images([save("a.png", photo())]).to_dict()
    for broken in ({**data, "extra": 1}, {**data, "summary": {"axis_excess": {"mean": "NaN"}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA, jsonschema.Draft202012Validator)
