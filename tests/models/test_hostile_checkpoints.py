"""Files of weights made by somebody who means it: no size, loop or type in them costs more than reading the file."""

from __future__ import annotations

import io
import json
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from artifactlab import ModelError, load_model
from artifactlab.errors import ArtifactLabError
from artifactlab.fix.checkpoint import load_state
from artifactlab.fix.weights import HEADER
from artifactlab.models.checkpoint import read_checkpoint

FACTORY = """
import torch
def make(): return torch.nn.Sequential(torch.nn.ConvTranspose2d(8, 3, 3, 2))
"""
ALLOWED = 128 << 10
"""KiB that the process may grow by; half of it are modules that torch imports when it first reckons without memory"""


@pytest.fixture
def target(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(FACTORY)
    return f"{tmp_path / 'net.py'}:make"


def weights() -> dict[str, Tensor]:
    return nn.Sequential(nn.ConvTranspose2d(8, 3, 3, 2)).state_dict()


def saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def rezipped(data: bytes, end: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with what one record holds replaced, and packed like this."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            chosen = name.endswith(end)
            new.writestr(name, content if chosen else old.read(name), method if chosen else zipfile.ZIP_STORED)
    return made.getvalue()


def with_pickle(program: bytes) -> bytes:
    return rezipped(saved({}), "data.pkl", program)


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


def claims(size: int, stride: int) -> bytes:
    """Four numbers that say they are more."""
    data = saved({"0.weight": torch.zeros(4)})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        program = file.read(next(name for name in file.namelist() if name.endswith("data.pkl")))
    assert program.count(b"K\x04\x85") == program.count(b"K\x01\x85") == 1
    program = program.replace(b"K\x04\x85", b"J%s\x85" % struct.pack("<i", size))
    return rezipped(data, "data.pkl", program.replace(b"K\x01\x85", b"K%c\x85" % stride))


def doubling_key() -> bytes:
    """A key of twice the same tuple of twice the same tuple ...: thirty of them take minutes to hash."""
    steps = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
    return with_pickle(b"\x80\x02}(K\x01q\x00" + steps + b"t\x85K\x01s.")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a record deflated": lambda: rezipped(saved({"w": torch.zeros(4)}), "data/0", bytes(1 << 27), zipfile.ZIP_DEFLATED),
    "the pickle deflated": lambda: rezipped(saved({}), "data.pkl", bytes(1 << 27), zipfile.ZIP_DEFLATED),
    "the version deflated": lambda: rezipped(saved({}), "/version", bytes(1 << 27), zipfile.ZIP_DEFLATED),
    "a tensor larger than its storage": lambda: claims(1 << 29, 1),
    "a tensor of one number a billion times": lambda: claims(1 << 30, 0),
    "an old file that claims more": lambda: saved({"w": torch.zeros(4)}, _use_new_zipfile_serialization=False).replace(
        b"K\x04Nt", b"J\x00\x00\x00\x70Nt"
    ),
    "a bytearray of any size": lambda: with_pickle(pickle.dumps(Calls(bytearray, 1 << 30), 2)),
    "nesting without end": lambda: with_pickle(b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s."),
    "doubling without end": doubling_key,
    "a program": lambda: saved({}).replace(b".format_version", b"x/constants.pkl"),
    "a text cut": lambda: b"\x80\x02X",
    "nothing but a start": lambda: b"\x80",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_size_is_believed(name: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(HOSTILE[name]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"x\.pt") as error:
        load_model(target, checkpoint=tmp_path / "x.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED
    assert "\n" not in str(error.value)


def looped() -> dict[str, Any]:
    first: dict[str, Any] = {}
    first["model"] = {"state_dict": first}
    return first


@pytest.mark.parametrize("name", ["itself", "each other"])
def test_a_state_dict_that_holds_itself_ends(name: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["state_dict"] = content
    torch.save(content if name == "itself" else looped(), tmp_path / "x.pt")
    with pytest.raises(ModelError, match="holds no state dict"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("kind", ["sparse_coo", "meta", "quantized", "complex"])
@pytest.mark.filterwarnings("ignore")
def test_what_holds_no_plain_numbers_is_named(kind: str, target: str, tmp_path: Path) -> None:
    turned = {
        "sparse_coo": Tensor.to_sparse,
        "meta": lambda value: value.to("meta"),
        "quantized": lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        "complex": lambda value: value + 1j,
    }[kind]
    torch.save({name: turned(value) for name, value in weights().items()}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=kind):
        load_model(target, checkpoint=tmp_path / "x.pt")


def test_small_floats_are_loaded(target: str, tmp_path: Path) -> None:
    small = {name: value.to(torch.float8_e4m3fn) for name, value in weights().items()}
    torch.save(small, tmp_path / "x.pt")
    loaded = load_model(target, checkpoint=tmp_path / "x.pt").state_dict()
    assert all(torch.equal(loaded[name], value.float()) for name, value in small.items())


def test_weights_with_attributes_are_loaded_without_them(target: str, tmp_path: Path) -> None:
    named = weights()
    named["0.bias"].is_floating_point = 3
    torch.save(named, tmp_path / "x.pt")
    assert load_model(target, checkpoint=tmp_path / "x.pt")


def replaced(**changes: Any) -> dict[str, Any]:
    made = {"site": "0", "paths": ["0"], "mode": "interpolate_conv", "in_channels": 8, "out_channels": 3, "scale": 2}
    return made | {"more": [1, 1], "options": {}} | changes


@pytest.mark.parametrize(
    "header",
    [
        [replaced(in_channels=60000, out_channels=60000)],
        [replaced(mode="conv_only_up", options={"hidden": 60000})],
        [replaced(mode="meta", options={"hidden": 60000})],
        [replaced(mode="carafe", options={"compressed": 60000, "encoder_kernel": 999})],
        [replaced(options={"kernel_size": 10**9 + 1})],
        [replaced(in_channels=60000, out_channels=60000), replaced()],
        [replaced(scale=60000)],
        [replaced(more=[10**9, 0])],
        [replaced()] * 100_000,
    ],
    ids=range(9),
)
def test_replacements_are_compared_with_the_weights_before_they_are_made(
    header: list[Any], target: str, tmp_path: Path
) -> None:
    save_file(weights(), tmp_path / "x.safetensors", metadata={HEADER: json.dumps(header)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtifactLabError):
        load_model(target, checkpoint=tmp_path / "x.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED


def test_a_changed_number_is_found_by_its_checksum(target: str, tmp_path: Path) -> None:
    data = bytearray(saved({name: torch.full_like(value, 3.0) for name, value in weights().items()}))
    data[data.index(struct.pack("<3f", 3, 3, 3))] ^= 1
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(ModelError, match="CRC"):
        load_model(target, checkpoint=tmp_path / "x.pt")


def test_files_saved_without_checksums_are_loaded(target: str, tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights(), tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_model(target, checkpoint=tmp_path / "x.pt")


@pytest.mark.parametrize("content", [nn.Linear(1, 1), {"run": "run"}, {"run": "run", "step": "x"}, [], "text"])
def test_what_is_no_training_says_so_and_recommends_nothing_dangerous(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.resume")
    with pytest.raises(ArtifactLabError, match="remove it to start anew") as error:
        load_state(tmp_path / "x.resume", "run", weights())
    assert "weights_only=False" not in str(error.value)
    assert "safe_globals" not in str(error.value)


def test_a_long_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "names.safetensors"
    path.write_bytes((1 << 24).to_bytes(8, "little") + b"{" + b" " * (1 << 24))
    with pytest.raises(ModelError, match="its header says that it has 16777216 bytes, and no more than"):
        read_checkpoint(path)
