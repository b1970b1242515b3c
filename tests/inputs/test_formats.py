"""Formats of input files can come from installed packages, and what no format knows is taken for an image."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.inputs import INPUT_FORMATS, InputFile, InputFormat, Reading, load_inputs
from artifactlab.registry import Registry


def read_levels(path: Path, reading: Reading) -> InputFile:
    levels = torch.tensor(list(path.read_bytes()[4:])).float() / 255
    return InputFile(levels.expand(1, 1 if reading.gray else 3, 16, -1), note=f"{path.name} has levels")


LEVELS = InputFormat(lambda start: start.startswith(b"LEV1"), read_levels, (".lev",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    formats = Registry[InputFormat]("test.inputs", InputFormat)
    for name, known in {**INPUT_FORMATS, "levels": LEVELS}.items():
        formats.register(name, known)
    for module in ("formats", "model_inputs"):
        monkeypatch.setattr(f"artifactlab.inputs.{module}.INPUT_FORMATS", formats)
    (tmp_path / "a.lev").write_bytes(b"LEV1" + bytes(range(0, 64, 4)))
    return tmp_path


def test_a_format_of_somebody_else_is_read_mapped_and_found_in_folders(folder: Path) -> None:
    said: list[str] = []
    (read,) = load_inputs([folder], value_range=(0, 255), gray=True, say=said.append)
    assert read.shape == (1, 1, 16, 16)
    assert read[0, 0, 3].tolist() == pytest.approx(list(range(0, 64, 4)))
    assert said == ["a.lev has levels"]


def test_what_no_format_knows_is_refused_as_an_image(folder: Path) -> None:
    (folder / "a.lev").write_bytes(b"LIVE" + bytes(16))
    with pytest.raises(InputError, match="cannot read image"):
        load_inputs([folder / "a.lev"])


def test_ours_are_all_there() -> None:
    assert list(INPUT_FORMATS)[:4] == ["video", "volume", "sound", "tensors"]
