"""Gates in a file, so that a build fails on what was decided once: TOML, with what is known of them beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artifactlab.errors import InputError, first_line, shown
from artifactlab.inputs.regular_files import read_regular
from artifactlab.scoring.gates import Gate, parse_gate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 1 << 20
"""Bytes of the largest file that is read; one with a gate on every metric has a thousandth."""
KNOWN = ("gates", "calibration")
"""What such a file holds: the gates, and a table of where they come from, which only people read."""
HEAD = "# artifactlab score IMAGES... --gates FILE fails on an image that meets one of these.\n"
ESCAPES = {'"': '\\"', "\\": "\\\\"}
"""What a TOML string cannot hold as it is, beside control characters."""


def read_gates(path: str | Path) -> tuple[Gate, ...]:
    """The gates that a TOML file lists under `gates`, each as text that `parse_gate` reads.

    Args:
        path: the file, written by hand or by `score --calibrate`.

    Raises:
        InputError: if it cannot be read, is no TOML, lists no gate, or holds anything that no such file has.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "gates.toml"
    >>> _ = path.write_text('gates = ["severity>1", "edge_jaggedness>0.3"]')
    >>> [str(gate) for gate in read_gates(path)]
    ['severity>1.0', 'edge_jaggedness>0.3']
    """
    data = _parsed(path)
    unknown = [name for name in data if name not in KNOWN]
    if unknown:
        raise InputError(f"{path} holds {shown(unknown[0])}; a file of gates has {' and '.join(KNOWN)}")
    texts = data.get("gates")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f'{path} lists no gates; expected a line such as gates = ["severity>1"], got {shown(texts)}')
    try:
        return tuple(parse_gate(text) for text in texts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def gates_toml(gates: Sequence[Gate], calibration: Mapping[str, str | int | float]) -> str:
    """The text of a file that `read_gates` reads, with a table of where the gates come from."""
    listed = "".join(f"    {toml_string(str(gate))},\n" for gate in gates)
    told = "".join(
        f"{name} = {toml_string(value) if isinstance(value, str) else repr(value)}\n"
        for name, value in calibration.items()
    )
    return f"{HEAD}gates = [\n{listed}]\n\n[calibration]\n{told}"


def toml_string(text: str) -> str:
    """A basic string of TOML 1.0: quoted, with control characters and what is no Unicode scalar escaped.

    >>> toml_string('a "b"' + chr(127))
    '"a \\\\"b\\\\"\\\\u007F"'
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if 0xD800 <= ord(character) <= 0xDFFF:  # a byte of a file name that is no UTF-8, which TOML has no word for
        return "\\uFFFD"
    control = character < " " or character == "\x7f"
    return f"\\u{ord(character):04X}" if control else ESCAPES.get(character, character)


def _parsed(path: str | Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular(path, LARGEST).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read the gates {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no TOML: it is not UTF-8 text") from error
    except (RecursionError, ValueError) as error:  # of TOML's own, and of a number too long, or a NUL in the path
        raise InputError(f"{path} is no TOML: {first_line(error)}") from error
