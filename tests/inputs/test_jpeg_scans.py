"""A progressive JPEG that is cut between two scans decodes without a complaint, and is not whole."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifactlab import InputError, read_image
from artifactlab.inputs.jpeg_scans import MAX_SCANS, damage_of_scans


def encoded(mode: str = "RGB", **options: object) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (64, 80, {"L": 1, "RGB": 3, "CMYK": 4}[mode]), np.uint8)
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def scans(data: bytes) -> list[int]:
    """Where scans begin."""
    return [match.start() for match in re.finditer(b"\xff\xda", data)]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"progressive": True, "quality": 95, "subsampling": 0}])
def test_whole_files_have_no_damage(mode: str, options: dict[str, object]) -> None:
    assert damage_of_scans(encoded(mode, **options)) is None


def test_a_cut_between_any_two_scans_is_told(tmp_path: Path) -> None:
    data = encoded(progressive=True)
    places = scans(data)
    assert len(places) > 5
    for number, place in enumerate(places[1:], start=1):
        tables = data.rfind(b"\xff\xc4", 0, place)  # a scan's Huffman table comes before it
        cut = data[: tables if tables > places[number - 1] else place] + b"\xff\xd9"
        assert damage_of_scans(cut) == "scans that bring the last bits are missing", number
    path = tmp_path / "cut.jpg"
    path.write_bytes(cut)
    with pytest.raises(InputError, match="the JPEG is damaged \\(scans that bring the last bits are missing\\)"):
        read_image(path)


def test_scans_without_end_are_refused_before_they_are_decoded() -> None:
    data = encoded("L", progressive=True)
    place = scans(data)[-1]
    last = data[place:-2]
    assert damage_of_scans(data[:place] + last * (MAX_SCANS + 1) + b"\xff\xd9") == f"more than {MAX_SCANS} scans"


def test_a_thumbnail_with_scans_of_its_own_does_not_count(tmp_path: Path) -> None:
    thumbnail = encoded("L", progressive=True)[:-200]  # cut
    data = encoded("L")
    segment = b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail
    assert damage_of_scans(data[:2] + segment + data[2:]) is None
