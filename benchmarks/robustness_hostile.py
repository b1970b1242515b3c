"""A hundred hostile files, names and settings: refused in one line, within 2 GB, and nothing else is lost or run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from robustness_cases import GOOD, SCORE, VICTIM, WITNESS, Case, all_cases
from robustness_commands import prepare
from robustness_processes import ARTIFACTLAB, ENVIRONMENT, Outcome, Tally, last_line, run

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""what changes a terminal, breaks a line, or turns the rest of it around"""
FORMULA = tuple("=+-@\t\r")
"""what a spreadsheet takes the start of a cell for"""
TERMINAL = [sys.executable, "-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"]
"""runs what follows on a terminal"""
MOST_SECONDS = 60.0
"""in which anything hostile must be refused or done"""


def hostile(count: int) -> Tally:
    """The row of the table."""
    tally = Tally("hostile files, names and settings: refused or done, nothing else lost, nothing run")
    cases = all_cases()
    for place in range(min(count, len(cases))):
        case = cases[place * len(cases) // min(count, len(cases))]
        tally.add(case.name, tried(case))
    return tally


def tried(case: Case) -> list[str]:
    """What goes wrong with one case, in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "desk"
        prepare(folder)
        (folder / VICTIM).write_text("mine")
        case.make(folder)
        command = [*(TERMINAL if case.on_terminal else []), *ARTIFACTLAB, *case.arguments, "--quiet"]
        outcome = run(command, folder, most_seconds=MOST_SECONDS, environment={**ENVIRONMENT, "TERM": "dumb"})
        return _faults(case, outcome, folder)


def _faults(case: Case, outcome: Outcome, folder: Path) -> list[str]:
    is_line = outcome.code == 2 and not case.on_terminal and case.arguments[0] != "score"  # which tells of each image
    faults = outcome.refusal() if is_line else outcome.faults()
    if outcome.code not in case.codes and not faults:
        faults.append(f"exit code {outcome.code}: {last_line(outcome.err)}")
    if "csv" not in case.arguments and CONTROLS.search((outcome.out + outcome.err).replace("\r\n", "\n")):
        faults.append("control characters on the terminal")
    if (folder / WITNESS).exists():
        faults.append("code was run")
    if (folder / VICTIM).read_text(errors="replace") != "mine":
        faults.append("somebody else's file was changed")
    page = folder / "report" / "report.html"
    if page.exists() and "<script>alert" in page.read_text():
        faults.append("a name is code in the page")
    if case.arguments[: len(SCORE)] == SCORE and not faults:
        faults += _faults_of_rows(case.arguments, outcome.out, folder)
    return faults


def _faults_of_rows(arguments: tuple[str, ...], out: str, folder: Path) -> list[str]:
    """Whether the undamaged image beside it has its score, and whether a spreadsheet would run anything."""
    try:
        rows = json.loads(out)["images"] if "json" in arguments else list(csv.DictReader(io.StringIO(out, newline="")))
    except (ValueError, KeyError) as error:
        return [f"a report that cannot be read: {error}"]
    inside = "in" if (folder / "in").exists() else ""
    expected = sum(name.endswith(".png") for name in os.listdir(folder / inside))
    faults = [] if len(rows) == expected else [f"{len(rows)} rows of {expected}"]
    good = [row for row in rows if row["path"] == os.path.join(inside, GOOD)]
    faults += [] if good and not good[0]["error"] else ["an undamaged image lost its row"]
    cells = [str(cell) for row in rows for cell in row.values()] if "csv" in arguments else []
    return faults + (["a cell is a formula"] if any(cell.startswith(FORMULA) for cell in cells) else [])
