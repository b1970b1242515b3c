"""Hostile model files of every format: `diagnose FILE` says in one line what is wrong, in bounds, and runs nothing.

    python benchmarks/model_files_hostile.py [WORD] [--minutes M] [--publish]

with the libraries of `[bench-models]`. Expected are exit code 2, one line, less than 1 GiB and a minute. Each kind
starts with its undamaged file, which must be opened: what is refused beside it is refused for what is wrong with it.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from hostile_folders import FOLDERS, IRREGULAR, NAMES, autoencoder, build, remove, upscaler
from hostile_graphs import PROGRAMS, SCRIPTS, beside, exported, script
from hostile_onnx import BOMBS, FILE, LOOPS, MESSAGES, PLACES, WEIGHTS, onnx_file
from hostile_pickles import WITNESS, pickles, saved
from hostile_weights import CLAIMS, GIANTS, HEADERS, ZIPS, weights
from model_files import Outcome, prepare, run
from publish import arguments, mark, markdown_table, publish
from robustness_hostile import CONTROLS
from safetensors.torch import save

MOST_SECONDS, MOST_MEGABYTES = 60.0, 1024
WORKERS = 3
CUTS = 20
"""places at which each file is cut"""
TYPED = ("--probe", "slanted-edge", "--size", "64x64", "--format", "json")


@dataclass(frozen=True)
class Case:
    """A hostile file or folder."""

    kind: str
    name: str
    make: Callable[[Path], object]
    """puts it into an empty folder"""
    target: str
    is_good: bool = False
    """whether it is the undamaged one"""


def cases() -> list[Case]:
    """All, by kind."""
    return [*_weights(), *_graphs(), *_folders(), *_places(), *_cut()]


def _weights() -> list[Case]:
    good = [
        _file("pickles", "undamaged", "x.pth", saved(weights()), is_good=True),
        _file("pickles", "undamaged, of old", "x.pt", saved(weights(), zipped=False), is_good=True),
    ]
    suffixes = ("pth", "pt", "ckpt", "bin")
    code = [_file("pickles", name, f"x.{suffixes[k % 4]}", data) for k, (name, data) in enumerate(pickles())]
    return [
        *good,
        *code,
        *(_file("sizes of tensors", name, "x.pth", data) for name, data in CLAIMS.items()),
        *(_made("zips", name, "x.pth", make) for name, make in ZIPS.items()),
        *(_file("safetensors", name, "x.safetensors", data) for name, data in HEADERS.items()),
        *(_file("models by names and shapes", name, "x.safetensors", data) for name, data in GIANTS.items()),
    ]


def _graphs() -> list[Case]:
    onnx_files = {"bombs": BOMBS, "graphs": LOOPS, "weights": WEIGHTS}
    return [
        _file(".pt2", "undamaged", "x.pt2", exported(), is_good=True),
        *(_made(".pt2", name, "x.pt2", make) for name, make in PROGRAMS.items()),
        _file("TorchScript", "undamaged", "x.ts", script(), is_good=True),
        # torch.jit.save(_extra_files=...) puts such records beside a program, and nothing ever reads them
        _file("TorchScript", "undamaged, with a Python file beside it", "x.ts", beside(), is_good=True),
        *(_made("TorchScript", name, "x.ts", make) for name, make in SCRIPTS.items()),
        _file("ONNX", "undamaged", FILE, onnx_file(), is_good=True),
        *(
            _made(f"ONNX, {kind}", name, FILE, partial(onnx_file, change))
            for kind, changes in onnx_files.items()
            for name, change in changes.items()
        ),
        *(_file("ONNX, messages", name, FILE, content) for name, content in MESSAGES.items()),
        *(
            Case("ONNX, weights elsewhere", name, partial(_beside, change, put), FILE)
            for name, (change, put) in PLACES.items()
        ),
    ]


def _beside(change: Callable[[Any], object], put: Callable[[Path], object], folder: Path) -> None:
    (folder / FILE).write_bytes(onnx_file(change))
    put(folder)


def _folders() -> list[Case]:
    makes = {"undamaged diffusers": autoencoder, "undamaged transformers": upscaler, **FOLDERS}
    return [
        Case("folders", name, partial(_inside, make), "model", name.startswith("undamaged"))
        for name, make in makes.items()
    ]


def _inside(make: Callable[[Path], object], folder: Path) -> None:
    (folder / "model").mkdir()
    make(folder / "model")


def _places() -> list[Case]:
    irregular = [
        Case("no regular files", name, lambda folder, put=put, target=target: put(folder / target), target)
        for name, (target, put) in IRREGULAR.items()
    ]
    noise = saved({"w": torch.zeros(3)})
    return irregular + [_file("names", ascii(name), name if name[0] != "-" else f"./{name}", noise) for name in NAMES]


def _cut() -> list[Case]:
    """Each file cut at `CUTS` places."""
    whole = {
        "x.pth": saved(weights()),
        "old.pth": saved(weights(), zipped=False),
        "x.safetensors": save(weights()),
        "x.pt2": exported(),
        "x.ts": script(),
        FILE: onnx_file(),
    }
    files = [
        _file(f"cut, {Path(name).name}", f"after {end} bytes", name, content[:end])
        for name, content in whole.items()
        for end in (place * len(content) // CUTS for place in range(CUTS))
    ]
    return files + [
        Case(f"cut, {part} of a folder", f"after {k}/{CUTS}", partial(_cut_folder, part, k / CUTS), "model")
        for part in ("config.json", "diffusion_pytorch_model.safetensors")
        for k in range(CUTS)
    ]


def _cut_folder(part: str, share: float, folder: Path) -> None:
    autoencoder(folder / "model")
    path = folder / "model" / part
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def _file(kind: str, name: str, target: str, content: bytes, is_good: bool = False) -> Case:
    return Case(kind, name, lambda folder: (folder / target).write_bytes(content), target, is_good)


def _made(kind: str, name: str, target: str, make: Callable[[], bytes]) -> Case:
    return Case(kind, name, lambda folder: (folder / target).write_bytes(make()), target)


ALL: list[Case] = []
"""what the workers are forked with"""


def _tried(deadline: float, place: int) -> tuple[list[str], Outcome] | None:
    return tried(ALL[place]) if time.monotonic() < deadline else None


def tried(case: Case) -> tuple[list[str], Outcome]:
    """What goes wrong with one case, in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, left = Path(scratch) / "desk", Path(scratch) / "tmp"
        folder.mkdir()
        left.mkdir()
        case.make(folder)
        before = set(folder.rglob("*"))
        outcome = run("diagnose", case.target, *TYPED, folder=folder, seconds=MOST_SECONDS)
        faults = _faults(outcome) if not case.is_good else [f"refused: {outcome.said}"] * bool(outcome.code)
        new = set(folder.rglob("*")) - before
        if (folder / WITNESS) in new or outcome.foreign:
            faults.append(f"code was run {outcome.foreign}")
        elif new:
            faults.append(f"left {min(new).name}")
        return faults, outcome


def _faults(outcome: Outcome) -> list[str]:
    faults = []
    lines = outcome.err.strip().splitlines()
    if outcome.code != 2:
        faults.append(f"exit code {outcome.code}")
    if len(lines) != 1:
        faults.append(f"{len(lines)} lines: {lines[:3]}")
    if "Traceback" in outcome.err:
        faults.append("a traceback")
    if CONTROLS.search(outcome.err + outcome.out):
        faults.append("control characters")
    if outcome.out:
        faults.append("data on stdout")
    if outcome.megabytes > MOST_MEGABYTES:
        faults.append(f"{outcome.megabytes} MB")
    if outcome.seconds > MOST_SECONDS:
        faults.append(f"{outcome.seconds:.0f} s")
    return faults


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("word", nargs="?", default="", help="only kinds and names with it")
    parser.add_argument("--minutes", type=float, help="begin no more files after that; the table says how many ran")
    parser.add_argument("--say", action="store_true", help="print what each was refused with")
    asked = parser.parse_args()
    prepare()
    chosen = _spread([one for one in cases() if asked.word in f"{one.kind}: {one.name}"])
    found: dict[str, list[tuple[int, Outcome]]] = {one.kind: [] for one in chosen}
    ALL[:] = chosen
    build()
    deadline = time.monotonic() + 60 * asked.minutes if asked.minutes else math.inf
    with ProcessPoolExecutor(WORKERS, get_context("fork")) as pool:
        results = pool.map(partial(_tried, deadline), range(len(chosen)))
        for case, result in zip(chosen, results, strict=True):
            if result is None:
                continue
            faults, outcome = result
            found[case.kind].append((len(faults), outcome))
            if faults or asked.say:
                print(
                    f"{case.kind}: {case.name}: {'; '.join(faults)} [{outcome.said:.200}]", file=sys.stderr, flush=True
                )
    remove()
    counts = Counter(one.kind for one in chosen)
    rows = [_row(kind, done, counts[kind]) for kind, done in sorted(found.items(), key=lambda one: one[0]) if done]
    rows.append(_row("all", [one for done in found.values() for one in done], len(chosen)))
    publish(
        "model_files_hostile",
        markdown_table(["what is hostile", "files", "faults", "most MB", "most s"], rows),
        asked.publish,
    )
    sys.exit(any(faults for done in found.values() for faults, _ in done))


def _spread(chosen: list[Case]) -> list[Case]:
    """Some of each kind first, so that a run which is ended early says something of all."""
    place: Counter[str] = Counter()
    places = []
    for one in chosen:
        places.append(place[one.kind])
        place[one.kind] += 1
    return [chosen[k] for k in sorted(range(len(chosen)), key=lambda k: places[k] / place[chosen[k].kind])]


def _row(kind: str, done: list[tuple[int, Outcome]], count: int) -> list[str]:
    broken = sum(faults > 0 for faults, _ in done)
    peak, seconds = max(one.megabytes for _, one in done), max(one.seconds for _, one in done)
    ran = str(count) if len(done) == count else f"{len(done)} of {count}"
    return [kind, ran, f"{broken}, {mark(broken == 0)}", str(peak), f"{seconds:.1f}"]


if __name__ == "__main__":
    main()
