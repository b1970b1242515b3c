"""A quick selection of the tests, from the wheel and in fresh environments: with every Python that setup.cfg names and
this machine has, with the oldest releases that setup.cfg allows, and with the newest there are.

    make matrix                                            # all of them
    make matrix ARGUMENTS="--only 3.12 --only oldest"
    make matrix ARGUMENTS="--only 3.13 --torch 2.9.1"      # another torch than constraints.txt has

Environments are kept in build/matrix for the next time. They have no extras, so that what needs one by mistake is
found. Wheels of torch for Linux bring CUDA: 2 to 3 GB to fetch for each, and 4 to 5 GB on the disk.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "matrix"
TESTS = (
    "tests/test_every_module_is_imported.py",
    "tests/cli/test_output_is_unchanged.py",
    "tests/cli/test_fix_command.py::test_the_offender_is_replaced_checked_written_and_loads_again",
    "tests/test_demo.py",
)
"""All modules, all `--help`; diagnose, lint, score, compare and fix, with their numbers."""
DOCTESTS = ("artifactlab.metrics", "artifactlab.scoring", "artifactlab.lint", "artifactlab.inputs")
RUNNERS = ("pytest", "hypothesis", "jsonschema")
"""What the selection needs besides artifactlab."""
WARNINGS = {"oldest": ("-W", "ignore::DeprecationWarning")}
"""Old releases use what newer ones of their own dependencies deprecate: matplotlib 3.8 does with pyparsing."""


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def supported(config: configparser.ConfigParser) -> list[str]:
    """The versions of Python that the classifiers name, oldest first."""
    return re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])


def oldest(config: configparser.ConfigParser) -> list[str]:
    """Each dependency held to the oldest release that its requirement allows: `numpy>=1.26` to `numpy<1.26.1`.

    An upper bound, as some releases have a fourth number (opencv-python 4.9.0.80).
    """
    lines = []
    for line in config["options"]["install_requires"].splitlines():
        if found := re.match(r"([\w-]+)>=([\d.]+)(.*)", line):
            name, bound, marker = found.groups()
            lines.append(f"{name}<{bound if '.' in bound else bound + '.0'}.1{marker}")
    return lines


def find(version: str) -> str | None:
    """A Python of this version that can make environments: on the path, or one of pyenv's that are not switched on."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))):
        code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        if candidate:
            told = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if told.stdout.strip() == version:
                return candidate
    return None


def wheel() -> Path:
    """This checkout's wheel, built anew."""
    for old in BUILD.glob("*.whl"):
        old.unlink()
    # what setuptools left there goes into the next wheel, with files that are no more
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", BUILD, ROOT]
    subprocess.run(build, check=True)
    return next(BUILD.glob("*.whl"))


def passes(python: str, name: str, constraints: str, built: Path) -> bool:
    """Whether the selection passes in the environment of this name, which is made if it is not there."""
    home = BUILD / name
    held = BUILD / f"constraints-{name}.txt"
    held.write_text(constraints)
    if not (home / "bin" / "pip").exists():
        subprocess.run([python, "-m", "venv", home], check=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--constraint", held]
    subprocess.run([*install, *RUNNERS, built], check=True)
    subprocess.run([*install, "--force-reinstall", "--no-deps", built], check=True)
    # not `python -m pytest`, which would find the checkout before the wheel
    command = [home / "bin" / "pytest", "--quiet", "-p", "no:cacheprovider", *WARNINGS.get(name, ())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    tests = [*command, *TESTS, "--pyargs", *DOCTESTS]
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


def plan(torch: str | None) -> dict[str, tuple[str, str]]:
    """Environments by name: the Python, and what its packages are held to."""
    config = setup()
    measured = (ROOT / "constraints.txt").read_text()
    if torch:
        measured = re.sub(r"^torch==.*", f"torch=={torch}", measured, flags=re.MULTILINE)
    pythons = [(version, python) for version in supported(config) if (python := find(version))]
    jobs = {version: (python, measured) for version, python in pythons}
    if pythons:
        held = [f"torch=={torch}" if torch and line.startswith("torch<") else line for line in oldest(config)]
        jobs["oldest"] = (pythons[0][1], "\n".join(held) + "\n")
        jobs["newest"] = (pythons[-1][1], "")
    return jobs


def main() -> int:
    versions = supported(setup())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*versions, "oldest", "newest"]
    parser.add_argument("--only", action="append", choices=names, help="repeatable; all if left out")
    parser.add_argument("--torch", metavar="VERSION", help="in all environments but `newest`")
    options = parser.parse_args()
    jobs = plan(options.torch)
    BUILD.mkdir(parents=True, exist_ok=True)
    built = wheel()
    outcomes = {}
    for name in options.only or names:
        if name not in jobs:
            outcomes[name] = "not tried, as this machine has no such Python"
            continue
        print(f"== {name}: {jobs[name][0]}", flush=True)
        start = time.monotonic()
        word = "passed" if passes(jobs[name][0], name, jobs[name][1], built) else "FAILED"
        outcomes[name] = f"{word} in {time.monotonic() - start:.0f} s"
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")
    return any(outcome.startswith("FAILED") for outcome in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
