"""By which the benchmark of losses knows what is to be trained again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "training_digests.py"
spec = importlib.util.spec_from_file_location("training_digests", FILE)
training_digests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(training_digests)

SOURCE = (
    '"""What it is."""\nWEIGHT = 2.0\n"""of the sum"""\ndef loss(x):\n    """The sum."""\n    return WEIGHT * x.sum()\n'
)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("The sum.", "The total."), True),
        (("of the sum", "of the total"), True),
        (("x.sum()", "x.sum()  # of all"), True),
        (("2.0", "3.0"), False),
        (("x.sum()", "x.mean()"), False),
    ],
)
def test_words_do_not_count_and_code_does(tmp_path, change, same):
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(SOURCE)
    after.write_text(SOURCE.replace(*change))
    assert (training_digests.of_files(before) == training_digests.of_files(after)) == same


def test_a_modules_digest_is_that_of_all_it_is_made_of():
    names = {file.stem for file in training_digests.files_of("artifactlab.fix.loss")}
    assert {"loss", "lattice_terms", "bands"} <= names  # the loss, its terms, and what these take from the metrics
    assert "diagnosis" not in names
