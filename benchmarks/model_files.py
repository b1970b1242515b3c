"""What benchmarks of model files share: the command line in a process of its own, under limits, and watched.

Each command runs in a fork of a process that has imported all libraries, as a hundred of them would take minutes to
import them. Exit codes, stderr, rusage and Python's audit events say what became of it, none of our own code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

import torch
from architectures_torchvision import provide_operators
from torch import Tensor, nn

import artifactlab

SECONDS = 120.0
"""that a command may take"""
NET = 6 << 30
"""bytes at which the system refuses more, so that nothing can fill a machine"""
LIBRARIES = (
    *("artifactlab.cli.main", "torch.export", "torch._export.converter", "spandrel", "diffusers.models"),
    *("transformers", "onnx", "onnxruntime", "onnx2pytorch"),
)
"""what opens files, imported once; those that are not there are left out"""
FOREIGN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "pty.spawn")
"""audit events that nothing has a reason for which reads a file: other programs, and the network"""


@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    code: int
    """negative where a signal ended it"""
    out: str
    err: str
    seconds: float
    megabytes: int
    """of memory, where it held most"""
    foreign: str = ""
    """the first event of `FOREIGN`"""

    @property
    def data(self) -> dict[str, Any]:
        """What it printed as JSON."""
        return json.loads(self.out) if self.out else {}

    @property
    def said(self) -> str:
        """The last line on stderr."""
        return (self.err.strip().splitlines() or [""])[-1]

    def keys(self) -> list[str]:
        """Keys of the sites that it reported."""
        return [f"{site['name']}/{site['op']}#{site['call']}".lstrip("/") for site in self.data.get("sites", [])]

    def sites(self) -> list[str]:
        """Names and operators of the sites that it reported."""
        return [f"{site['name']}/{site['op']}" for site in self.data.get("sites", [])]


def prepare() -> None:
    """Import what commands need, before the first of them."""
    with suppress(ImportError):
        provide_operators()
    for name in LIBRARIES:
        with suppress(ImportError):
            import_module(name)


def run(*line: str, folder: Path | None = None, seconds: float = SECONDS) -> Outcome:
    """Run `artifactlab` with these arguments.

    Args:
        line: the arguments.
        folder: where it runs; here by default.
        seconds: after which it is ended.
    """
    with tempfile.TemporaryDirectory() as kept:
        started = time.perf_counter()
        pid = os.fork()
        if not pid:
            _command(Path(kept), line, folder)
        timer = Timer(seconds, os.kill, (pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(pid, 0)
        timer.cancel()
        timer.join()
        texts = [_text(Path(kept) / name) for name in ("stdout", "stderr", "foreign")]
        code, took = os.waitstatus_to_exitcode(status), time.perf_counter() - started
        return Outcome(code, texts[0], texts[1], took, usage.ru_maxrss // 1024, texts[2])


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _command(kept: Path, line: Sequence[str], folder: Path | None) -> NoReturn:
    """What a fork does: the command, what it prints in files."""
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (NET, NET))
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(kept / name, os.O_WRONLY | os.O_CREAT), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder or ".")
        _watch(kept / "foreign")
        code = _exit_code(line)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _watch(place: Path) -> None:
    def note(event: str, args: Any) -> None:
        if event in FOREIGN:
            place.write_text(f"{event} {args!r:.80}")

    sys.addaudithook(note)


def _exit_code(line: Sequence[str]) -> int:
    from artifactlab.cli.main import main

    try:
        main(list(line), prog_name="artifactlab")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def own_sites(model: nn.Module, given: Tensor) -> list[str]:
    """Sites of a pass of a model that was never a file."""
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(given)
    return [f"{one.site.name}/{one.site.op}" for one in found.sites]


def differing(found: Iterable[str], expected: Iterable[str]) -> str:
    """In words, which sites are there, and which are too many or lost."""
    found, expected = set(found), set(expected)
    extra, lost = sorted(found - expected), sorted(expected - found)
    words = (f", not expected {extra}" if extra else "") + (f", lost {lost}" if lost else "")
    return f"{len(found)} sites{words}"
