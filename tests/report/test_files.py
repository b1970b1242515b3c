"""What is promised about the files of a report: all of them or none, and known before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifactlab import Diagnosis
from artifactlab.errors import InputError
from artifactlab.report.files import refuse_unwritable_report, write_report


def test_a_report_that_cannot_be_written_leaves_neither_files_nor_folders(
    long_named: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "report.html").write_text("old")
    monkeypatch.setattr("os.replace", full)
    for folder in ("new/deep", "old"):
        with pytest.raises(InputError, match="No space left on device"):
            write_report(long_named, tmp_path / folder)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.read_text() for path in (tmp_path / "old").iterdir()] == ["old"]


@pytest.mark.parametrize("taken", ["report/maps.npz", "report/report.html"])
def test_a_folder_where_a_file_is_to_be_is_refused_before_the_work(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).mkdir(parents=True)
    with pytest.raises(InputError, match="it is a folder"):
        refuse_unwritable_report(tmp_path / "report")
