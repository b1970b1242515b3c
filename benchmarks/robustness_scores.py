"""A hundred thousand damaged image files are scored: a row for each, in order, whatever is in them."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from robustness_images import READABLE, Mutant, mutant, originals
from robustness_processes import ARTIFACTLAB, Tally, last_line, run

BATCH = 4000
"""files that one process scores"""
BY_COMMAND = 100
"""of each batch, those that are scored once more through the command line"""
METRIC = "replication_factor"
Row = dict[str, Any]


def mutated_images(count: int, keep: Path | None = None) -> list[Tally]:
    """The rows of the table: all files, those cut among them, and those given to the command."""
    tallies = [
        Tally("mutated images, ten formats: a row each, in order"),
        Tally("... those cut by a tenth and more: said to be damaged"),
        Tally("... `score`, through the command line, a hundred at a time"),
    ]
    for start in range(0, count, BATCH):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            mutants = [mutant(number) for number in range(start, min(start + BATCH, count))]
            files = _written(folder, mutants)
            before = _digest(folder)
            _judge(mutants, files, tallies)
            _by_command(folder, mutants[:BY_COMMAND], tallies[2])
            if _digest(folder) != before:
                tallies[0].add(f"batch {start}", ["files were changed, or came and went"])
            _keep(folder, keep, tallies)
    return tallies


def _written(folder: Path, mutants: list[Mutant]) -> list[Path]:
    """The mutants' files, and behind every thousand the undamaged ones, which must not suffer from their neighbours."""
    files = []
    for place, made in enumerate(mutants):
        files.append((folder / made.name, made.data))
        if place % 1000 == 999 or place == len(mutants) - 1:
            files += [(folder / f"whole{place}.{suffix}", data) for suffix, data in originals().items()]
    for path, data in files:
        path.write_bytes(data)
    return [path for path, _ in files]


def _judge(mutants: list[Mutant], files: list[Path], tallies: list[Tally]) -> None:
    """Compare what came back with what went in."""
    lost = {made.name for made in mutants if made.lost}
    for path, found in _scored(files).items():
        tally, name = tallies[0], Path(path).name
        if isinstance(found, str):
            tally.add(name, [found])
            continue
        whole = name.startswith("whole") and name.split(".", 1)[1] in READABLE
        tally.add(name, _faults_of_row(found) + (["an undamaged file was refused"] if whole and found["error"] else []))
        if name in lost:
            tallies[1].add(name, [] if found["error"] else [f"cut {name.split('.', 1)[1]} scored as if whole"])


def _faults_of_row(row: Row) -> list[str]:
    """A row has a score or an error of one line, never both."""
    error = row["error"]
    if error is None:
        return [] if row[METRIC] is not None else ["neither a score nor an error"]
    found = [] if row[METRIC] is None else ["a score and an error"]
    return found + (["an error of several lines"] if not error.strip() or "\n" in error else [])


def _scored(files: list[Path]) -> dict[str, Row | str]:
    """Each file's row, or what went wrong with it; after a file that ends the run it goes on with the next one."""
    found: dict[str, Row | str] = {}
    rest = [str(path) for path in files]
    while rest:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "files.json").write_text(json.dumps(rest))
            outcome = run([sys.executable, __file__], folder, most_seconds=1800)
            done = (folder / "done").stat().st_size if (folder / "done").exists() else 0
            rows = json.loads((folder / "rows.json").read_text()) if (folder / "rows.json").exists() else None
        if rows is not None:
            return found | _by_path(rest, rows, outcome.faults())
        why = (outcome.faults() or [f"ended with {outcome.code}: {last_line(outcome.err)}"])[0]
        found |= dict.fromkeys(rest[done : done + 1], f"all rows lost: {why}")
        if done:  # those before it are scored without it
            found |= _scored([Path(path) for path in rest[:done]])
        rest = rest[done + 1 :]
    return found


def _by_path(files: list[str], rows: list[Row], faults: list[str]) -> dict[str, Row | str]:
    if [row["path"] for row in rows] != files:
        faults = [*faults, f"{len(rows)} rows of {len(files)} files, or out of order"]
    return dict(zip(files, rows, strict=False)) | dict.fromkeys(files[: len(faults)], ", ".join(faults))


def _by_command(folder: Path, mutants: list[Mutant], tally: Tally) -> None:
    """The command's own exit code and rows."""
    names = [made.name for made in mutants]
    outcome = run([*ARTIFACTLAB, "score", *names, "--metric", METRIC, "--format", "json", "--quiet"], folder)
    faults = outcome.faults()
    try:
        rows = json.loads(outcome.out)["images"]
    except (ValueError, KeyError):
        faults.append(f"no report: {last_line(outcome.err)}")
    else:
        faults += [] if [row["path"] for row in rows] == names else ["rows are missing or out of order"]
        expected = 2 if any(row["error"] for row in rows) else 0
        faults += [] if outcome.code == expected else [f"exit code {outcome.code} instead of {expected}"]
    tally.add(f"{names[0]} to {names[-1]}", faults)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _keep(folder: Path, keep: Path | None, tallies: list[Tally]) -> None:
    """Copies of the files that something went wrong with."""
    if keep is None:
        return
    keep.mkdir(parents=True, exist_ok=True)
    for name in {case for tally in tallies for _, case in tally.faults}:
        if (folder / name).is_file():
            shutil.copy(folder / name, keep)


def main() -> None:
    """In a process of its own: score the files of files.json, and note after each that it is done."""
    from artifactlab import score_images

    files = json.loads(Path("files.json").read_text())
    with open("done", "ab", buffering=0) as done:
        report = score_images(files, metrics=[METRIC], progress=lambda *_: done.write(b".") and None)
    rows = [{"path": row.path, "error": row.error, **row.scores} for row in report.images]
    Path("rows.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
