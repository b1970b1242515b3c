"""What is promised about worker processes: one that is killed loses nothing of the others, none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import cheap_worker as cheap
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


@pytest.fixture
def cheap_worker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Workers that do not import torch, and what they can be given to do."""
    monkeypatch.setattr(workers, "_work", cheap.work)
    return cheap


def test_a_worker_that_is_killed_is_replaced_and_its_job_tried_once_more(
    tmp_path: Path, cheap_worker: ModuleType
) -> None:
    fates = ["never", "once", "always", "never", "once", "always", "once"]
    jobs = [(fate, tmp_path / str(number)) for number, fate in enumerate(fates)]
    with closing(map_in_processes(cheap_worker.hunted, jobs, 2, cheap_worker.lost)) as results:
        expected = [f"{fate}: {'lost' if fate == 'always' else 'done'}" for fate in fates]
        assert sorted(results) == list(enumerate(expected))


def test_jobs_are_taken_as_workers_get_free_and_results_come_as_they_are_done(cheap_worker: ModuleType) -> None:
    taken: list[int] = []

    def seconds() -> Iterator[float]:
        for number in range(1000):
            taken.append(number)
            yield 0.4 if number == 0 else 0.01

    with closing(map_in_processes(time.sleep, seconds(), 2, cheap_worker.lost)) as results:
        first = [next(results)[0] for _ in range(5)]
        assert 0 not in first  # and is not waited for
        assert len(taken) <= 5 + 2 + 2  # done, on their way, and handed out with those done at once


@pytest.mark.usefixtures("cheap_worker")
def test_what_a_job_raises_is_raised(tmp_path: Path) -> None:
    missing = [str(tmp_path / "missing")]
    with closing(map_in_processes(os.listdir, missing, 1, lambda job: [])) as results, pytest.raises(FileNotFoundError):
        list(results)


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


@pytest.mark.skipif(sys.platform == "win32", reason="no signal masks")
def test_ctrl_c_that_meets_another_thread_waits_until_a_worker_is_started() -> None:
    done, started = threading.Event(), []

    def start() -> None:
        with workers._without_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            started.append(True)

    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        done.set()
        other.join()
    assert started
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
