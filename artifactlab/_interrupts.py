"""Ctrl-C while the command `artifactlab` is still importing, which takes seconds: one line instead of a traceback.

It is imported first of all, and does nothing in a program that is not the command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process without unwinding what is half imported; there is nothing to clean up yet."""
    os.write(2, b"Interrupted.\n")
    os._exit(EXIT_INTERRUPTED)


def _is_command() -> bool:
    """Whether this process runs the command: its script, or `python -m artifactlab`."""
    script = os.path.basename(sys.argv[0]) if sys.argv else ""
    as_module = script == "-m" and "artifactlab" in sys.orig_argv  # -m stands there while Python looks for the module
    return as_module or script in {"artifactlab", "artifactlab.exe", "artifactlab-script.py"}


if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    and _is_command()
):
    signal.signal(signal.SIGINT, leave)
