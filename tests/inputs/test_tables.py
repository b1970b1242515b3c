"""Images in tables: named by manifests and data sets, or lying in them as bytes."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import Save, photo

from artifactlab.errors import InputError
from artifactlab.inputs import find_sources
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.inputs.sources import Entry, Selection, arrow_tables

PNG = [bytes(cv2.imencode(".png", photo(seed))[1]) for seed in range(4)]


def entries(path: Path, column: str | None = None, reference: str | None = None) -> list[Entry]:
    return find_sources([str(path)], Selection(column=column, reference_column=reference))


def seeds(found: list[Entry]) -> list[int]:
    """Which of the photos each image is."""
    photos = [photo(seed).tolist() for seed in range(4)]
    return [photos.index(entry.source.open(MAX_PIXELS).values.tolist()) for entry in found]


def why(entry: Entry) -> str:
    with pytest.raises(InputError) as caught:
        entry.source.open(MAX_PIXELS)
    return str(caught.value)


@pytest.fixture
def folder(save: Save) -> Path:
    for seed in range(4):
        save(f"images/{seed}.png", photo(seed))
    return save("out/0.png", photo(3)).parent.parent


def write(path: Path, columns: dict[str, list[object]]) -> Path:
    """A table in the format of its name."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix in (".csv", ".tsv"):
        lines = [list(columns), *([str(value) for value in row.values()] for row in rows)]
        path.write_text("".join(("," if path.suffix == ".csv" else "\t").join(line) + "\n" for line in lines))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, row_group_size=2)
    else:
        table = pa.table(columns)
        new = pa.ipc.new_file if path.stem == "file" else pa.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "file.arrow", "stream.arrow"])
def test_paths_are_read_from_the_tables_folder_on_by_the_only_column_that_looks_like_it(
    folder: Path, name: str
) -> None:
    names = [f"images/{seed}.png" for seed in (2, 0, 1)]
    table = write(folder / name, {"caption": ["a", "b", "c"], "file": names, "score": [1, 2, 3]})
    found = entries(table)
    assert seeds(found) == [2, 0, 1]
    assert [entry.source.relative for entry in found] == ["images/2", "images/0", "images/1"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_of_several_such_columns_one_has_to_be_named_and_another_may_be_the_reference(folder: Path, name: str) -> None:
    table = write(folder / name, {"out": ["out/0.png"], "target": ["images/0.png"], "label": ["cat"]})
    with pytest.raises(InputError, match=r"out, target look like .*which has out, target, label; .*--column / column="):
        entries(table)
    with pytest.raises(InputError, match=r"no column 'outt'; it has out, target, label"):
        entries(table, "outt")
    ((source, reference),) = entries(table, "out", "target")
    assert seeds([Entry(source)]) == [3]
    assert reference is not None
    assert seeds([Entry(reference)]) == [0]
    assert seeds(entries(table, reference="target")) == [3]
    with pytest.raises(InputError, match=r"no column looks like one of images"):
        entries(write(folder / name, {"label": ["cat"]}))


@pytest.mark.parametrize("name", ["a.parquet", "file.arrow", "stream.arrow"])
@pytest.mark.parametrize("as_data_set", [False, True])
def test_images_as_bytes_are_read_in_any_order(tmp_path: Path, name: str, as_data_set: bool) -> None:
    cells = [{"bytes": data, "path": f"{index}.png"} if as_data_set else data for index, data in enumerate(PNG)]
    table = write(tmp_path / name, {"image": cells, "label": list("abcd")})
    found = pickle.loads(pickle.dumps(entries(table)))
    assert [entry.source.name for entry in found] == [f"{table}#{number}" for number in range(4)]
    assert seeds(found[::-1]) == [3, 2, 1, 0]
    assert found[1].source.digest() == hashlib.sha256(PNG[1]).hexdigest()


def test_a_cell_without_bytes_is_the_file_that_it_names_or_a_row_that_says_so(folder: Path) -> None:
    cells = [{"bytes": None, "path": "images/1.png"}, {"bytes": None, "path": None}, None]
    named, *empty = entries(write(folder / "a.parquet", {"image": cells}), "image")
    assert seeds([named]) == [1]
    for number, entry in enumerate(empty, 1):
        assert f"row {number} names no image, but has None" in why(entry)


def test_a_data_set_that_was_saved_is_a_folder(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"data-0000{number}-of-00002.arrow", {"image": PNG[2 * number : 2 * number + 2]})
    write(tmp_path / "cache-1f.arrow", {"image": PNG})
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")
    assert seeds(entries(tmp_path)) == [0, 1, 2, 3]


def test_rows_that_name_nothing_or_what_tables_may_not_name_are_rows_of_their_own(folder: Path) -> None:
    table = write(folder / "a.jsonl", {"file": ["images/0.png", None, "sftp://host/a.png", "zip://a.png::b.zip", 7]})
    found = entries(table, "file")
    assert seeds(found[:1]) == [0]
    assert "row 1 names no image" in why(found[1])
    for entry in found[2:4]:
        assert "and URLs of stores" in why(entry)
    assert "but has 7" in why(found[4])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"file": "a.png"}\n[1]\n', "line 2 of .* is no JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1 of .* is no JSON object"),
        ("a.csv", "file\n", "has no row"),
        ("a.csv", "", "has no row"),
    ],
)
def test_what_is_no_manifest_is_said_before_anything_is_scored(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        entries(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"file\na.png\n" + b"x" * (1 << 21), "a line has more than"),
        ("a.csv", b"file\n\xff\xfe\n", "codec can't decode"),
        ("a.parquet", b"PAR1" + b"#" * 100, "cannot read"),
        ("a.arrow", b"ARROW1\0\0" + b"#" * 100, "cannot read"),
        ("a.arrow", b"\xff\xff\xff\xff" + b"\x40\0\0\0" + b"#" * 100, "cannot read"),
    ],
)
def test_a_table_that_is_damaged_is_a_row(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in why(entries(tmp_path / name)[-1])


def test_parts_that_are_too_large_to_be_held_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(tmp_path / "a.parquet", {"image": PNG})
    monkeypatch.setattr(arrow_tables, "MAX_PART", 1000)
    assert "bytes, and 1000 are held; write smaller ones" in why(entries(table)[0])


def test_without_pyarrow_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(tmp_path / "a.parquet", {"image": PNG})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pyarrow, which is not installed: pip install 'artifactlab\[tables\]'"):
        entries(table)


def test_a_million_rows_take_little_memory_and_no_file_is_opened(tmp_path: Path) -> None:
    rows = 2000
    names = np.char.add(np.arange(rows).astype(str), ".png").tolist()
    tables = [
        write(tmp_path / "a.csv", {"file": names}),
        write(tmp_path / "a.parquet", {"image": [b""] * rows}),
    ]
    for table in tables:
        entries(table)  # what is imported
        tracemalloc.start()
        found = entries(table)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(found) == rows
        assert used / rows < 400  # bytes: 0.4 GB for a million
