"""What every source of an image promises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artifactlab.errors import InputError
from artifactlab.inputs.sources import ImageFile

Save = Callable[[str, np.ndarray], Path]


def test_the_digest_of_a_file_is_that_of_its_bytes_whatever_it_is_called(save: Save, tmp_path: Path) -> None:
    image = np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)
    first, other = save("a.png", image), save("b.png", image)
    assert ImageFile(first).digest() == ImageFile(other).digest() == hashlib.sha256(first.read_bytes()).hexdigest()
    assert ImageFile(save("c.png", image + 1)).digest() != ImageFile(first).digest()


def test_a_file_that_is_gone_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        ImageFile(tmp_path / "gone.png").digest()
