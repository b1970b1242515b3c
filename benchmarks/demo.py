"""Run the demo and put its output and picture into the quickstart: `python benchmarks/demo.py --publish`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from publish import DOCS, arguments, publish

PICTURE = DOCS / "demo.png"


def main() -> None:
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "artifactlab", "demo", "-o", "artifactlab-demo"]
        start = time.perf_counter()
        environment = {**os.environ, "COLUMNS": "100"}
        shown = subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True, text=True).stdout
        seconds = time.perf_counter() - start
        if options.publish:
            shutil.copy(Path(scratch) / "artifactlab-demo" / "diagnosis.png", PICTURE)
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    text = f"```text\n$ artifactlab demo\n{lines}\n```\n\n![the demo's picture](demo.png)\n\nIt took {seconds:.0f} s."
    publish("demo", text, options.publish)


if __name__ == "__main__":
    main()
