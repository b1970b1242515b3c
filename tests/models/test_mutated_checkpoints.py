"""Files of weights, damaged at random: each is loaded, or refused in one line that recommends nothing dangerous."""

from __future__ import annotations

import io
import random
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from artifactlab import load_model
from artifactlab.errors import ArtifactLabError
from artifactlab.fix import replace_upsampler, save_fixed
from artifactlab.fix.checkpoint import State, load_state, save_state

FACTORY = """
import torch
def make(): return torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 3, 3, 2))
"""
NUMBERS = [struct.pack("<q", number) for number in (0, 1, -1, 255, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 62)]


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.ConvTranspose2d(2, 3, 3, 2))


def write_resume(path: Path, net: nn.Module) -> None:
    weights = {name: value.detach() for name, value in net.named_parameters()}
    numbers = {"step": 1, "inputs": 3, "planned": 2, "shown": 3, "last": 3}
    losses = {"seconds": 0.5, "first_loss": 1.0, "first_shown": 0.2, "best_loss": 0.5}
    save_state(path, "run", State(**numbers, **losses, best=dict(weights), weights=dict(weights)))


def write_fixed(path: Path, net: nn.Module) -> None:
    save_fixed(path, net, [replace_upsampler(net, "0").replacement])


WRITERS: dict[str, Callable[[Path, nn.Module], None]] = {
    "plain.pt": lambda path, net: torch.save(net.state_dict(), path),
    "nested.pth": lambda path, net: torch.save({"state_dict": net.state_dict(), "epoch": 3, "lr": [0.1]}, path),
    "old.pth": lambda path, net: torch.save(net.state_dict(), path, _use_new_zipfile_serialization=False),
    "plain.safetensors": lambda path, net: save_file(net.state_dict(), path),
    "fixed.safetensors": write_fixed,
    "out.resume": write_resume,
}


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One to three bytes or pieces changed, lost, doubled, or made an extreme number."""
    content = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(max(1, len(content)))
        content = content or bytearray(1)
        end = start + draw.choice((1, 2, 4, 8, 40))
        kind = draw.randrange(7)
        if kind == 0:
            content[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            content[start] = draw.randrange(256)
        elif kind == 2:
            del content[start:end]
        elif kind == 3:
            content[start:start] = content[start:end]
        elif kind == 4:
            content[start : start + 8] = draw.choice(NUMBERS)
        elif kind == 5:
            content[start : start + 4] = draw.choice(NUMBERS)[:4]
        else:
            content = content[: start + 1]
    return bytes(content)


def resealed(data: bytes, draw: random.Random) -> bytes:
    """A zip with one record damaged and the checksums right, as by somebody who means it."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = draw.choice([names[0], names[0], *names])
        for name in names:
            content = old.read(name)
            new.writestr(name, damaged(content, draw) if name == chosen else content)
    return made.getvalue()


def mutants(folder: Path, seed: int, count: int) -> Iterator[Path]:
    draw = random.Random(seed)
    originals = {}
    for name, write in WRITERS.items():
        write(folder / name, model())
        originals[name] = (folder / name).read_bytes()
    for _ in range(count):
        name, data = draw.choice(list(originals.items()))
        mutate = draw.choice((damaged, resealed)) if data.startswith(b"PK") else damaged
        path = folder / name
        path.write_bytes(mutate(data, draw))
        yield path


def outcome(path: Path, target: str) -> str:
    """What comes of it; raises what nobody should see."""
    try:
        if path.suffix == ".resume":
            load_state(path, "run", dict(model().named_parameters()))
        else:
            load_model(target, checkpoint=path)
    except ArtifactLabError as error:
        message = str(error)
    else:
        return ""
    assert len(message.splitlines()) == 1, message
    assert "weights_only=False" not in message
    return message


def test_damaged_files_are_loaded_or_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    results = [outcome(path, f"{tmp_path / 'net.py'}:make") for path in mutants(tmp_path, seed=0, count=120)]
    assert sum(map(bool, results)) > 80


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_not_damaged_is_loaded(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    WRITERS[name](tmp_path / name, model())
    assert outcome(tmp_path / name, f"{tmp_path / 'net.py'}:make") == ""


def fuzz(folder: Path, seed: int, count: int) -> None:
    """`python test_mutated_checkpoints.py FOLDER SEED COUNT`: raw errors, for as long as one likes."""
    (folder / "net.py").write_text(FACTORY)
    raw = refused = 0
    for number, path in enumerate(mutants(folder, seed, count)):
        try:
            refused += bool(outcome(path, f"{folder / 'net.py'}:make"))
        except BaseException as error:
            raw += 1
            (folder / f"raw_{number}_{path.name}").write_bytes(path.read_bytes())
            print(number, path.name, type(error).__name__, str(error)[:200], flush=True)
    print(f"{count} mutants: {refused} refused, {count - refused - raw} loaded, {raw} raw errors")


if __name__ == "__main__":
    fuzz(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
