"""The engine of a cluster: the same rows as of worker processes, whoever dies; on real clusters where ray is there.

Elsewhere a strict stand-in for what is used of Ray does the work in this process, and loses what it is told to lose.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import hunted_source
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hunted_source import Hunted

from artifactlab.cli.main import main
from artifactlab.errors import ArtifactLabError, InputError
from artifactlab.inputs.sources import ImageFile
from artifactlab.scoring import ray_data, score_images
from artifactlab.scoring.engines import ENGINES
from artifactlab.scoring.ray_data import on_ray
from artifactlab.scoring.rows import Job
from artifactlab.scoring.score_report import ImageScore

HAS_RAY = find_spec("ray") is not None


def with_ray(test: Callable[..., None]) -> Callable[..., None]:
    """A test on real clusters; what Ray warns of in its own code is not ours to mend."""
    return pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")(pytest.mark.filterwarnings("ignore")(test))


METRICS = ("axis_excess", "replication_factor")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """24 small images, every other one in blocks, and one that is broken."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(24):
        noise = cv2.GaussianBlur(rng.normal(size=(64, 64)), (0, 0), 2)
        image = (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)
        image = image[::2, ::2].repeat(2, 0).repeat(2, 1) if number % 2 else image
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    (folder / "05.png").write_text("no image")
    return [Job(ImageFile(file), None, METRICS, 10**6) for file in sorted(folder.glob("*.png"))]


@pytest.fixture(scope="module")
def wanted(jobs: list[Job]) -> list[ImageScore]:
    """The rows of this process."""
    with ENGINES["processes"](jobs, 1) as rows:
        return [row for _, row in rows]


class RayError(Exception):
    """Of the stand-in."""


class RayTaskError(RayError):
    """What a task has raised."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


@dataclass
class StandIn:
    """What the engine may use of ray, with the arguments that the real one takes, and nothing else."""

    lost: tuple[int, ...] = ()
    """Numbers of jobs whose batches are lost."""
    killing: tuple[int, ...] = ()
    """Numbers of jobs that kill a task of their own, too."""
    fails: str | None = None
    """What the work ends with."""
    connected: bool = False
    events: list[Any] = field(default_factory=list)
    raising: tuple[int, ...] = ()
    """Numbers of jobs that cannot even begin where they are sent."""
    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __post_init__(self) -> None:
        self.data = SimpleNamespace(
            DataContext=self, from_items=self._from_items, ActorPoolStrategy=self._actors, __name__="ray.data"
        )
        self.execution_options = SimpleNamespace(preserve_order=False)

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, address: str, **settings: Any) -> None:
        assert settings.keys() >= {"logging_level", "log_to_driver"}
        assert ("num_cpus" in settings) == (address == "local")
        if address == "nowhere:1":
            raise ConnectionError("nobody answers")
        self.events.append(("init", address))

    def shutdown(self) -> None:
        self.events.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def get_current(self) -> StandIn:
        return self

    def copy(self) -> StandIn:
        return self

    @contextmanager
    def current(self, context: StandIn) -> Iterator[None]:
        assert context.execution_options.preserve_order
        assert context.max_errored_blocks == -1  # type: ignore[attr-defined]
        yield

    def _actors(self, *, size: int) -> int:
        assert 1 <= size <= 2
        return size

    def _from_items(self, items: list[dict[str, Any]], *, override_num_blocks: int) -> Any:
        blocks = [list(block) for block in np.array_split(np.array(items, object), override_num_blocks)]

        def map_batches(actor: Callable[..., Any], *, fn_constructor_args: tuple[str], **settings: Any) -> Any:
            assert settings["num_cpus"] == 1
            assert (settings["max_restarts"], settings["max_task_retries"]) == (-1, 1)
            self.events.append(("actors", settings["compute"]))
            return SimpleNamespace(iter_batches=lambda **_: self._mapped(actor(*fn_constructor_args), blocks))

        return SimpleNamespace(map_batches=map_batches)

    def _mapped(self, actor: Callable[..., Any], blocks: list[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        for block in blocks:
            if self.fails is not None:
                raise RayError(self.fails)
            columns = {name: np.array([item[name] for item in block], object) for name in block[0]}
            if not set(columns["number"]) & {*self.lost, *self.killing, *self.raising}:
                yield actor(columns)

    def remote(self, *, num_cpus: int, max_retries: int) -> Callable[..., Any]:
        assert (num_cpus, max_retries) == (0, 0)
        return lambda function: SimpleNamespace(remote=lambda *arguments: (function, arguments))

    def get(self, task: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
        function, arguments = task
        number = int(pickle.loads(arguments[1]).source.stem)
        self.events.append(("alone", number))
        if number in self.killing:
            raise RayError("the worker died unexpectedly")
        if number in self.raising:
            raise RayTaskError(ModuleNotFoundError("No module named 'av'"))
        return function(*arguments)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(ray_data, "_ray", lambda: stand_in)
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)
    return stand_in


def test_rows_are_those_of_this_process_in_its_order(ray: StandIn, jobs: list[Job], wanted: list[ImageScore]) -> None:
    with on_ray(jobs, 2) as rows:
        assert [row for _, row in rows] == wanted
    assert ray.events == [("init", "local"), ("actors", 2), "shutdown"]


def test_images_of_lost_batches_are_tried_alone_and_the_killer_is_a_row(
    ray: StandIn, jobs: list[Job], wanted: list[ImageScore]
) -> None:
    ray.lost, ray.killing = (0, 23), (7,)
    with on_ray(jobs, 2) as rows:
        found = [row for _, row in rows]
    assert [row.path for row in found] == [row.path for row in wanted]
    assert [number for number, row in enumerate(found) if row != wanted[number]] == [7]
    assert "killed, twice" in (found[7].error or "")
    assert [event[1] for event in ray.events if event[0] == "alone"] == [0, 1, 2, 6, 7, 8, 21, 22, 23]


def test_a_machine_that_lacks_a_package_is_told_of_and_nobody_was_killed(ray: StandIn, jobs: list[Job]) -> None:
    ray.raising = (7,)
    with on_ray(jobs, 2) as rows:
        error = [row for _, row in rows][7].error
    assert error is not None
    assert "ModuleNotFoundError: No module named 'av'; is all installed on every machine?" in error
    assert "killed" not in error


@pytest.mark.parametrize("address", ["head:6379", None])
def test_a_cluster_of_somebody_else_is_joined_and_left(
    ray: StandIn, jobs: list[Job], address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "of-the-environment:6379")
    with on_ray(jobs[:1], 1000, address) as rows:
        next(rows)
    assert ray.events[0] == ("init", address or "of-the-environment:6379")


def test_a_process_that_is_connected_stays_so(ray: StandIn, jobs: list[Job]) -> None:
    ray.connected = True
    with on_ray(jobs[:1], 1) as rows:
        next(rows)
    assert [event for event in ray.events if event == "shutdown" or event[0] == "init"] == []
    with pytest.raises(InputError, match="connected to a cluster already"), on_ray(jobs, 1, "other:1"):
        pass


def test_whatever_ends_the_work_ends_our_cluster(ray: StandIn, jobs: list[Job]) -> None:
    with pytest.raises(KeyboardInterrupt), on_ray(jobs, 2):
        raise KeyboardInterrupt
    assert ray.events[-1] == "shutdown"
    ray.fails = "no actor can be started\nfor many reasons"
    with pytest.raises(ArtifactLabError, match=r"^Ray cannot go on: no actor can be started$"):
        score_images([jobs[0].source.name], engine="ray")
    assert ray.events[-1] == "shutdown"


def test_a_cluster_that_is_not_there_is_an_error_of_ours(ray: StandIn, jobs: list[Job]) -> None:
    with pytest.raises(ArtifactLabError, match="cannot reach the cluster 'nowhere:1': nobody answers"):
        on_ray(jobs, 1, "nowhere:1").__enter__()


def score(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["score", *arguments, "--metric", "axis_excess", "--format", "csv"])


def test_command_prints_the_same_and_takes_all_cores_of_the_cluster(ray: StandIn, jobs: list[Job]) -> None:
    folder = str(Path(jobs[0].source.name).parent)
    here = score(folder)
    there = score(folder, "--engine", "ray", "--ray-address", "head:6379")
    assert (there.exit_code, there.stdout) == (here.exit_code, here.stdout)
    assert ray.events == [("init", "head:6379"), ("actors", 2), "shutdown"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "rai"], "unknown engine 'rai'; known are processes, ray"),
        (["--ray-address", "head:1"], "--ray-address is for --engine ray, and the engine is processes"),
    ],
)
def test_command_refuses_an_engine_that_is_none(jobs: list[Job], arguments: list[str], message: str) -> None:
    result = score(jobs[0].source.name, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_an_engine_can_be_a_function(jobs: list[Job]) -> None:
    @contextmanager
    def sevenths(jobs: Sequence[Job], workers: int) -> Iterator[Iterator[tuple[int, ImageScore]]]:
        yield enumerate(ImageScore(job.source.name, {"axis_excess": float(workers)}, None) for job in jobs)

    report = score_images([jobs[0].source.name], metrics=["axis_excess"], workers=7, engine=sevenths)
    assert report.images[0].scores == {"axis_excess": 7.0}


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_without_ray_it_says_what_to_install(jobs: list[Job]) -> None:
    with pytest.raises(InputError, match=r"pip install 'artifactlab\[ray\]'"):
        on_ray(jobs, 1).__enter__()


@with_ray
def test_real_cluster_of_eight_nodes_is_joined_survives_and_gives_the_same_to_the_bit(
    jobs: list[Job], wanted: list[ImageScore]
) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(7):
            cluster.add_node(num_cpus=1)
        with on_ray(jobs, 8, cluster.address) as rows:
            assert [row for _, row in rows] == wanted
        assert len(cluster.list_all_nodes()) == 8
        assert all(node.any_processes_alive() for node in cluster.list_all_nodes())
    finally:
        cluster.shutdown()


@with_ray
def test_real_actors_that_are_killed_lose_no_row(
    jobs: list[Job], wanted: list[ImageScore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("PYTHONPATH", str(Path(hunted_source.__file__).parent))  # of the actors

    dangerous = list(jobs)
    for number, fate in ((3, "once"), (9, "always")):
        path = tmp_path / f"{number}.png"
        path.write_bytes(Path(jobs[number].source.name).read_bytes())
        dangerous[number] = Job(Hunted(path, fate), None, METRICS, 10**6)  # type: ignore[arg-type]
    with on_ray(dangerous, 2) as rows:
        found = [row for _, row in rows]
    assert not ray.is_initialized()
    assert found[3].error is None, found[3].error
    assert found[3].scores == wanted[3].scores
    assert "killed, twice" in (found[9].error or "")
    assert [row for n, row in enumerate(found) if n not in (3, 9)] == [
        r for n, r in enumerate(wanted) if n not in (3, 9)
    ]


SCRIPT = """
import sys
from pathlib import Path
from artifactlab.inputs.sources import ImageFile
from artifactlab.scoring.ray_data import on_ray
from artifactlab.scoring.rows import Job

jobs = [Job(ImageFile(Path(sys.argv[1])), None, ("axis_excess",), 10**6)] * 100_000
try:
    with on_ray(jobs, 2) as rows:
        next(rows)
        print("begun", flush=True)
        for _ in rows:
            pass
except KeyboardInterrupt:
    sys.exit(130)
"""


@with_ray
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_real_ctrl_c_ends_the_cluster_that_was_started(jobs: list[Job], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script), jobs[0].source.name],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout
    assert parent.stdout.readline() == "begun\n"
    family = descendants(parent.pid)
    assert len(family) > 3  # Ray's own processes, and two actors
    os.kill(parent.pid, signal.SIGINT)
    assert parent.wait(60) == 130
    end = time.monotonic() + 20
    while alive(family) and time.monotonic() < end:
        time.sleep(0.2)
    assert alive(family) == set()


def parents() -> dict[int, int]:
    """The parent of every process that runs."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(process.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    family, of = {pid}, parents()
    while more := {child for child, parent in of.items() if parent in family} - family:
        family |= more
    return family - {pid}


def alive(family: set[int]) -> set[int]:
    return family & parents().keys()
