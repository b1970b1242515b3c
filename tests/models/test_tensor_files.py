"""Files of tensors: read as what they are whatever they are called, as data, and never larger than they say."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from artifactlab.errors import InputError
from artifactlab.models import tensor_files
from artifactlab.models.tensor_files import read_tensors

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("ran",)


def write_npy(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        np.save(file, value)


def write_npz(path: Path, compressed: bool = False, **arrays: Any) -> None:
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_npy(path, X.numpy()),
        lambda path: write_npy(path, X.numpy().astype(">f8")),
        lambda path: write_npy(path, np.asfortranarray(X.numpy())),
        lambda path: torch.save(X, path),
        lambda path: torch.save(X.double(), path),
        lambda path: torch.save(X, path, _use_new_zipfile_serialization=False),
    ],
)
def test_a_tensor_is_read_in_single_precision_whatever_the_file_is_called(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / "odd.png")
    read = read_tensors(tmp_path / "odd.png")
    assert read.dtype == torch.float32
    assert torch.equal(read, X)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_npz(path, x=X.numpy(), t=np.array([3])),
        lambda path: write_npz(path, compressed=True, x=X.numpy(), t=np.array([3])),
        lambda path: save_file({"x": X, "t": torch.tensor([3])}, path),
        lambda path: torch.save({"x": X, "t": torch.tensor([3])}, path),
    ],
)
def test_several_tensors_are_read_by_name_and_integers_stay_integers(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / "a")
    read = read_tensors(tmp_path / "a")
    assert set(read) == {"x", "t"}
    assert torch.equal(read["x"], X)
    assert read["t"].dtype == torch.int64
    assert read["t"].item() == 3


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: torch.save(Hostile(), path), "needs unpickling, which runs code"),
        (lambda path: write_npy(path, np.array([Hostile()], object)), "Python objects"),
        (lambda path: write_npz(path, x=np.array([Hostile()], object)), "Object arrays cannot be loaded"),
        (lambda path: write_npy(path, np.array(["text"])), "can't convert"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), "cannot read"),
        (lambda path: path.write_text("hello"), "expected tensors in .npy"),
        (lambda path: path.mkdir(), "cannot read"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line_and_never_run(
    write: Callable[[Path], None], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.pt")
    with pytest.raises(InputError, match=message) as raised:
        read_tensors(tmp_path / "a.pt")
    assert "\n" not in str(raised.value)
    assert "state_dict" not in str(raised.value)
    assert capsys.readouterr().out == ""


def header_of(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def test_a_few_bytes_that_claim_to_be_gigabytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header_of((1 << 20, 1 << 20)) + bytes(64))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header_of((1 << 20, 1 << 20)) + bytes(64))
    torch.save(torch.zeros(1).expand(1 << 20, 1 << 20), tmp_path / "a.pt")
    for name in ("a.npy", "a.npz", "a.pt"):
        with pytest.raises(InputError, match="cannot read"):
            read_tensors(tmp_path / name)


def test_a_damaged_packed_file_is_one_clear_error(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", compressed=True, x=X.numpy())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200:300] = b"\xff" * 100
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot read"):
        read_tensors(tmp_path / "a.npz")


def test_a_packed_file_is_refused_by_what_it_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "a.npz", compressed=True, x=np.zeros(100_000, np.float32))
    assert (tmp_path / "a.npz").stat().st_size < 2000
    monkeypatch.setattr(tensor_files, "MAX_BYTES", 300_000)
    with pytest.raises(InputError, match="it unpacks to 400128 bytes"):
        read_tensors(tmp_path / "a.npz")
