"""What is hostile: files, links and pipes, names, settings, tables, and modules in the folder; and who meets it."""

from __future__ import annotations

import csv
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robustness_bombs import CHECKPOINTS, IMAGES, SPARSE
from robustness_commands import MODEL
from robustness_images import originals

GOOD = "zz_good.png"
"""an undamaged image beside what is hostile"""
WITNESS = "ran"
"""the file that is there if anything hostile was executed"""
VICTIM = "victim"
"""the file of somebody else's that a link points to"""
REFUSED, DONE, EITHER = (2,), (0, 1), (0, 1, 2)
SCORE = ("score", "--metric", "axis_excess", "--format")
OWN = "my_models.py:make"
LINT = ("lint", OWN)
DIAGNOSE = ("--probe", "constant", "--crop", "64", "-o", "report")
FIX = ("fix", OWN, "--site", "1", "--input", "images/00.png", "--crop", "64", "-o", "fixed.safetensors")


@dataclass(frozen=True)
class Case:
    """One hostile thing, and the command that meets it."""

    name: str
    arguments: tuple[str, ...]
    make: Callable[[Path], object]
    """puts it into the folder"""
    codes: tuple[int, ...] = REFUSED
    on_terminal: bool = False


def beside(name: str, make: Callable[[Path], object], inside: str = "in") -> Callable[[Path], object]:
    """Puts something called `name` into a folder with an undamaged image."""

    def put(folder: Path) -> None:
        (folder / inside).mkdir(exist_ok=True)
        (folder / inside / GOOD).write_bytes((folder / "images" / "00.png").read_bytes())
        make(folder / inside / name)

    return put


def _socket(path: Path) -> None:
    """A relative name, as that of a socket must be short."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def _sparse(start: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        with path.open("wb") as file:
            file.write(start)
            file.truncate(SPARSE)

    return put


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a pipe": _link_to_pipe,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a socket": _socket,
    "3 GB of zeros": _sparse(b""),
}
"""what is no file of data, whatever it is called"""
PLACES: dict[str, tuple[str, ...]] = {
    "y.png": ("diagnose", OWN, "--crop", "64", "--input", "y.png"),
    "x.csv": ("compare", "x.csv", "after.csv"),
    "x.toml": ("lint", OWN, "--config", "x.toml"),
    "x.safetensors": ("lint", OWN, "--checkpoint", "x.safetensors"),
    "x.pt": ("lint", OWN, "--checkpoint", "x.pt"),
}
"""the name under which a command meets it"""
NAMES = (
    *("=cmd|calc!A0.png", "+1.png", "@SUM(A1).png", "-1.png", "a\rb.png", "e\nx.png", "c\u2028x.png", "d\x85x.png"),
    *(
        "\x1b]0;title\x07.png",
        "\x1b[2J.png",
        "[red]x[bold].png",
        "$$.png",
        os.fsdecode(b"\xff\xfe.png"),
        "x" * 240 + ".png",
    ),
)
MODULES = (
    "up$^^$x",
    "[/red]up",
    "\x1b[2Jup",
    "<script>alert(1)</script>",
    "up" * 2000,
    "../../up",
    "\u202eup",
    "{{1}}",
)
NAMED = """
import torch
NAME = %r

class Named(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("a", torch.nn.Conv2d(3, 8, 3, padding=1))
        self.add_module(NAME, torch.nn.ConvTranspose2d(8, 3, 3, 2, 1, 1))

    def forward(self, x):
        return self._modules[NAME](self.a(x))
"""
SETTINGS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a byte order mark": (b"\xef\xbb\xbf[lint]\ntrained = true\n", DONE),
    "nested": (b"[lint]\nkwargs = " + b"[" * 100_000, REFUSED),
    "nested tables": (b"[lint]\nkwargs = " + b"{a=" * 5000 + b"1" + b"}" * 5000, REFUSED),
    "a huge integer": (b"[lint]\nkwargs = {scale = " + b"9" * 100_000 + b"}\n", REFUSED),
    "a date": (b"[lint]\nkwargs = {scale = 2020-01-01}\n", REFUSED),
    "no UTF-8": (b"[lint]\n# \xff\xfe\n", REFUSED),
    "NUL in a path": (b'[lint]\ncheckpoint = "a\\u0000b.pt"\n', REFUSED),
    "a list for a flag": (b"[lint]\ntrained = [1]\n", REFUSED),
}
TABLES: dict[str, bytes] = {
    "a cell without end": b'path,axis_excess,error\n"' + b"a" * 300_000 + b'",0.1,\n',
    "nested JSON": b"[" * 200_000,
    "a huge integer": b'{"images": [{"path": "a", "axis_excess": ' + b"9" * 100_000 + b"}]}",
    "no UTF-8": b"path,axis_excess,error\n\xff\xfe,0.1,\n",
    "NUL": b"path,axis_excess,error\n\0,0.1,\n",
    "a number that is a list": b'{"images": [{"path": ["a"], "axis_excess": [1]}], "summary": {}}',
}
KWARGS = {
    "nested": '{"a":' * 20_000,
    "a huge integer": '{"scale": ' + "9" * 100_000 + "}",
    "not a number": '{"scale": NaN}',
}


def all_cases() -> list[Case]:
    """Every case; more than a hundred."""
    return [*of_images(), *irregular(), *of_checkpoints(), *named(), *settings(), *in_the_folder()]


def of_images() -> Iterator[Case]:
    """What is called an image, and is none or too much of one."""
    for name, make in IMAGES.items():
        yield Case(f"image: {name}", (*SCORE, "json", "in"), beside("x.png", _bytes(make)), EITHER)


def irregular() -> Iterator[Case]:
    """What is no file of data, wherever a file is asked for."""
    for name, put in IRREGULAR.items():
        for place, arguments in PLACES.items():
            yield Case(f"{name} as {place}", arguments, lambda folder, put=put, place=place: put(folder / place))
        if "link" not in name:
            yield Case(f"{name} as an image", (*SCORE, "json", "in/x.png", f"in/{GOOD}"), beside("x.png", put), EITHER)


def of_checkpoints() -> Iterator[Case]:
    """What is called a checkpoint, or the state of a training that was killed."""
    for name, make in CHECKPOINTS.items():
        yield Case(f"checkpoint: {name}", (*LINT, "--checkpoint", name), _file(name, make), EITHER)
    for name in ("cyclic.pt", "runs.pt", "byte.pt", "inflated.pt"):
        put = _file("fixed.safetensors.resume", CHECKPOINTS[name])
        yield Case(f"a state called {name}", (*FIX, "--distil", "images", "--steps", "2"), put, EITHER)


def named() -> Iterator[Case]:
    """Names of files and of modules that mean something to a spreadsheet, a terminal, a page or a plot."""
    for name in NAMES:
        put, shown = beside(name, lambda path: path.write_bytes(originals()["png"]), "."), ascii(name[:20])
        table = beside("x.csv", lambda path, name=name: _table(path, name), ".")
        yield Case(f"name: {shown}, read back", ("compare", "x.csv", "x.csv", "--format", "json"), table, DONE)
        yield Case(f"name: {shown}, CSV", (*SCORE, "csv", "*.png"), put, DONE)
        yield Case(f"name: {shown}, terminal", ("score", "*.png"), put, DONE, on_terminal=True)
    for name in MODULES:
        put = _file("named.py", lambda name=name: (NAMED % name.replace(".", "_")).encode())
        yield Case(f"module: {name[:20]!a}", ("diagnose", "named.py:Named", *DIAGNOSE), put, DONE, on_terminal=True)


def settings() -> Iterator[Case]:
    """Settings, tables and arguments that are too deep, too long or of a wrong type."""
    for name, (data, codes) in SETTINGS.items():
        put = _file("x.toml", lambda data=data: data)
        yield Case(f"settings: {name}", (*LINT, "--config", "x.toml"), put, codes)
    for name, data in TABLES.items():
        file = "x.json" if data[:1] in b"[{" else "x.csv"
        yield Case(f"table: {name}", ("compare", file, "after.csv"), _file(file, lambda data=data: data))
    for name, text in KWARGS.items():
        yield Case(f"--kwargs: {name}", (*LINT, "--kwargs", text), lambda folder: None, EITHER)


def _table(path: Path, name: str) -> None:
    """Scores as a CSV, which Python's own writer quotes."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
            [("path", "axis_excess", "error"), (name, 0.1, ""), ("b", 0.2, "")]
        )


def in_the_folder() -> Iterator[Case]:
    """Modules that are not asked for, and links where drafts are written."""
    for name in ("jinja2.py", "rich.py", "statistics.py"):
        put = _file(name, lambda: f"open({WITNESS!r}, 'w')".encode())
        yield Case(f"./{name}", ("diagnose", MODEL, *DIAGNOSE), put, DONE)
    for name in ("fixed.safetensors.part", "fixed.fix.png.part", "fixed.safetensors.resume.part"):
        trained = (*FIX, "--distil", "images", "--steps", "60")
        yield Case(
            f"a link .{name}", trained, lambda folder, name=name: (folder / f".{name}").symlink_to(VICTIM), EITHER
        )


def _bytes(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def _file(name: str, make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(make())
