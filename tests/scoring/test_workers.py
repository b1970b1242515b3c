"""What is promised about worker processes: one that is killed loses nothing of the others, none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from artifactlab.errors import ArtifactLabError
from artifactlab.scoring import workers
from artifactlab.scoring.workers import map_in_processes

SCRIPT = """
import os, sys, time
from artifactlab.scoring.workers import map_in_processes

def slow(job):
    print(job, flush=True)
    time.sleep(60)

if __name__ == "__main__":
    print("starting", flush=True)
    try:
        list(map_in_processes(slow, "a", 1, str))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def hunted(job: tuple[str, Path]) -> str:
    """Work that ends its process once or always, that fails, or that is done."""
    fate, traces = job
    begun_before = traces.exists()
    traces.touch()
    if fate == "raises":
        raise ValueError("as it should")
    if fate == "always" or (fate == "once" and not begun_before):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{fate}: done"


def results(fates: list[str], folder: Path) -> Generator[str, None, None]:
    jobs = [(fate, folder / str(number)) for number, fate in enumerate(fates)]
    return map_in_processes(hunted, jobs, 1, lambda job: f"{job[0]}: lost")


def test_a_worker_that_is_killed_is_replaced_and_its_job_tried_once_more(tmp_path: Path) -> None:
    with closing(results(["never", "once", "never"], tmp_path)) as got:
        assert list(got) == ["never: done", "once: done", "never: done"]


def test_a_job_that_kills_whoever_tries_it_is_lost_alone_and_what_a_job_raises_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "TRIES", 1)
    with closing(results(["always", "raises"], tmp_path)) as got:
        assert next(got) == "always: lost"
        with pytest.raises(ValueError, match="as it should"):
            next(got)


def test_workers_that_die_as_they_start_are_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", sys.exit)  # takes no two arguments
    with pytest.raises(ArtifactLabError, match="--workers 1"):
        list(map_in_processes(len, ["a", "b"], 2, len))


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
@pytest.mark.parametrize(("last_seen", "number"), [("a", signal.SIGKILL), ("starting", signal.SIGINT)])
def test_no_worker_outlives_its_parent_and_none_says_a_word(
    tmp_path: Path, last_seen: str, number: signal.Signals
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    pipe = subprocess.PIPE
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    assert parent.stdout
    while parent.stdout.readline().strip() != last_seen:
        pass
    if number == signal.SIGINT:
        time.sleep(0.3)  # while workers import
        os.killpg(parent.pid, number)  # as a terminal does
    else:
        parent.kill()
    killed = time.monotonic()
    said = parent.communicate()[1]  # ends when the last process that could write does
    assert time.monotonic() - killed < 20
    assert said == ""
