"""A hundred hostile files, names and settings: refused in one line, within 2 GB, and nothing else is lost or run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robustness_bombs import CHECKPOINTS, IMAGES, SPARSE
from robustness_commands import MODEL, prepare
from robustness_images import originals
from robustness_processes import ARTIFACTLAB, Outcome, Tally, last_line, run

WITNESS = "ran"
"""the file that is there if anything hostile was executed"""
VICTIM = "victim"
"""the file of somebody else's that a link points to"""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""what changes a terminal, or breaks a line"""
FORMULA = tuple("=+-@\t\r")
"""what a spreadsheet takes the start of a cell for"""
REFUSED, DONE, EITHER = (2,), (0, 1), (0, 1, 2)
SCORE = ("score", "--metric", "axis_excess", "--format")
OWN = "my_models.py:make"


@dataclass(frozen=True)
class Case:
    """One hostile thing, and the command that meets it."""

    name: str
    arguments: tuple[str, ...]
    make: Callable[[Path], object]
    """puts it into the folder"""
    codes: tuple[int, ...] = REFUSED


def hostile(count: int) -> Tally:
    """The row of the table."""
    tally = Tally("hostile files, names and settings: refused or done, nothing else lost, nothing run")
    cases = all_cases()
    for place in range(min(count, len(cases))):
        case = cases[place * len(cases) // min(count, len(cases))]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "desk"
            prepare(folder)
            (folder / VICTIM).write_text("mine")
            case.make(folder)
            outcome = run([*ARTIFACTLAB, *case.arguments, "--quiet"], folder)
            tally.add(case.name, _faults(case, outcome, folder))
    return tally


def _faults(case: Case, outcome: Outcome, folder: Path) -> list[str]:
    faults = outcome.refusal() if case.codes == REFUSED else outcome.faults()
    if outcome.code not in case.codes and not faults:
        faults.append(f"exit code {outcome.code}: {last_line(outcome.err)}")
    if CONTROLS.search(outcome.out) or CONTROLS.search(outcome.err):
        faults.append("control characters on the terminal")
    if (folder / WITNESS).exists():
        faults.append("code was run")
    if (folder / VICTIM).read_text(errors="replace") != "mine":
        faults.append("somebody else's file was changed")
    if case.arguments[: len(SCORE)] == SCORE and not faults:
        faults += _faults_of_rows(case.arguments, outcome.out, folder)
    return faults


def _faults_of_rows(arguments: tuple[str, ...], out: str, folder: Path) -> list[str]:
    """Whether the undamaged image beside it has its score, and whether a spreadsheet would run anything."""
    try:
        rows = json.loads(out)["images"] if "json" in arguments else list(csv.DictReader(io.StringIO(out, newline="")))
    except (ValueError, KeyError) as error:
        return [f"a report that cannot be read: {error}"]
    expected = sum(1 for name in os.listdir(folder / "in"))
    faults = [] if len(rows) == expected else [f"{len(rows)} rows of {expected}"]
    good = [row for row in rows if row["path"] == os.path.join("in", "zz_good.png")]
    faults += [] if good and not good[0]["error"] else ["an undamaged image lost its row"]
    cells = [str(cell) for row in rows for cell in row.values()] if "csv" in arguments else []
    return faults + (["a cell is a formula"] if any(cell.startswith(FORMULA) for cell in cells) else [])


def beside(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Puts something called `name` into a folder with an undamaged image."""

    def put(folder: Path) -> None:
        (folder / "in").mkdir()
        (folder / "in" / "zz_good.png").write_bytes((folder / "images" / "00.png").read_bytes())
        make(folder / "in" / name)

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
    "x.png": (*SCORE, "json", "x.png", "images/00.png"),
    "y.png": ("diagnose", OWN, "--crop", "64", "--input", "y.png"),
    "x.csv": ("compare", "x.csv", "after.csv"),
    "x.toml": ("lint", OWN, "--config", "x.toml"),
    "x.safetensors": ("lint", OWN, "--checkpoint", "x.safetensors"),
    "x.pt": ("lint", OWN, "--checkpoint", "x.pt"),
}
"""the name under which a command meets it"""
NAMES = (
    *("=cmd|calc!A0.png", "+1.png", "@SUM(A1).png", "-1.png", "a\rb.png", "e\nx.png", "c\u2028x.png", "d\x85x.png"),
    *("\x1b]0;title\x07.png", "\x1b[2J.png", "[/red].png", "$$.png", os.fsdecode(b"\xff\xfe.png"), "x" * 240 + ".png"),
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
    good = ("images/00.png",)
    fix = ("fix", OWN, "--site", "1", "--input", *good, "--crop", "64", "-o", "fixed.safetensors")
    return [
        *(
            Case(f"image: {name}", (*SCORE, "json", "in"), beside("x.png", _bytes(make)), EITHER)
            for name, make in IMAGES.items()
        ),
        *(
            Case(f"{name} as {place}", arguments, lambda folder, put=put, place=place: put(folder / place))
            for name, put in IRREGULAR.items()
            for place, arguments in PLACES.items()
            if place != "x.png"
        ),
        *(
            Case(f"{name} as an image", (*SCORE, "json", "in/x.png", "in/zz_good.png"), beside("x.png", put), EITHER)
            for name, put in IRREGULAR.items()
            if "link" not in name
        ),
        *(
            Case(f"checkpoint: {name}", ("lint", OWN, "--checkpoint", name), _file(name, make), EITHER)
            for name, make in CHECKPOINTS.items()
        ),
        *(
            Case(
                f"name: {name[:20]!a}, {form}",
                (*SCORE, form, "in"),
                beside(name, _bytes(lambda: originals()["png"])),
                DONE,
            )
            for name in NAMES
            for form in ("csv",)
        ),
        *(
            Case(f"name: {name[:20]!a}, table", ("score", "in"), beside(name, _bytes(lambda: b"none")))
            for name in NAMES[8:11]
        ),
        *(
            Case(
                f"module: {name[:20]!a}",
                ("diagnose", "named.py:Named", "--probe", "constant", "--crop", "64", "-o", "report"),
                _file("named.py", lambda name=name: (NAMED % name.replace(".", "_")).encode()),
                DONE,
            )
            for name in MODULES
        ),
        *(
            Case(
                f"settings: {name}", ("lint", OWN, "--config", "x.toml"), _file("x.toml", lambda data=data: data), codes
            )
            for name, (data, codes) in SETTINGS.items()
        ),
        *(
            Case(
                f"table: {name}",
                ("compare", f"x.{'json' if data[:1] in b'[{' else 'csv'}", "after.csv"),
                _file(f"x.{'json' if data[:1] in b'[{' else 'csv'}", lambda data=data: data),
            )
            for name, data in TABLES.items()
        ),
        *(
            Case(f"--kwargs: {name}", ("lint", OWN, "--kwargs", text), lambda folder: None, EITHER)
            for name, text in KWARGS.items()
        ),
        *(
            Case(
                f"./{name}",
                ("diagnose", MODEL, "--probe", "constant", "--crop", "64", "-o", "report"),
                _file(name, lambda: f"open({WITNESS!r}, 'w')".encode()),
                DONE,
            )
            for name in ("jinja2.py", "rich.py", "statistics.py")
        ),
        *(
            Case(f"a link called {name}", fix, lambda folder, name=name: (folder / name).symlink_to(VICTIM), EITHER)
            for name in (".fixed.safetensors.part", ".fixed.fix.png.part", ".fixed.safetensors.resume.part")
        ),
        *(
            Case(
                f"a state called {name}",
                (*fix, "--distil", "images", "--steps", "2"),
                _file("fixed.safetensors.resume", CHECKPOINTS[name]),
                EITHER,
            )
            for name in ("cyclic.pt", "runs.pt", "byte.pt", "inflated.pt")
        ),
    ]


def _bytes(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def _file(name: str, make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(make())
