"""Short handles of sites: the tail of a long key, by which people find the layer in their code.

Records, JSON and commands hold full keys. Where people read (tables, headings, plots), a long one stands as its tail,
`...up_blocks.1.upsampler/interpolate#0`: the parts of the path that are nearest to the layer are those in its code, and
what sites have in common, which comes first, tells them apart from nothing. Modules that nest in each other, as the
levels of pix2pix's U-Net do, repeat a part over and over; it stands once, with how often: `(model.3)x4.model.5`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Of a piped table's 100 columns the numbers take 60. A key of this length stands beside them on one line.
LONGEST = 32
"""Characters of a key that is left as it is, and of a handle where so few are unique."""
FEWEST_PARTS = 2
"""Parts of the path that a handle has at least: `conv` alone is in every block."""
LEAST_SAVED = 8
"""Characters that a handle saves at least: a name that is hardly longer reads better whole."""
LONGEST_UNIT = 3
"""Parts of a path that are told to repeat: more do so in no net that was seen."""
ELLIPSIS = "..."
"""What stands for the parts that are left out, in ASCII for every terminal."""


@dataclass(frozen=True)
class Handles:
    """The handles of all sites of a diagnosis.

    >>> handles = Handles.of(["unet.decoder.up_blocks.0.upsamplers.0.conv/interpolate#0", "vae.up/interpolate#0"])
    >>> handles["unet.decoder.up_blocks.0.upsamplers.0.conv/interpolate#0"]
    '...upsamplers.0.conv/interpolate#0'
    >>> handles["vae.up/interpolate#0"], list(handles.full.values())
    ('vae.up/interpolate#0', ['unet.decoder.up_blocks.0.upsamplers.0.conv/interpolate#0'])
    """

    by_key: Mapping[str, str]
    """Handles by key; a key that is short is its own."""

    @classmethod
    def of(cls, keys: Iterable[str]) -> Handles:
        """The handles that tell these keys apart."""
        known = set(keys)
        shared = Counter(tail for key in known for tail in _tails(key))
        return cls({key: _handle(key, shared) for key in sorted(known)})

    def __getitem__(self, key: str) -> str:
        """The handle of a key; what is no key of a site, such as a parameter's name, is left as it is."""
        return self.by_key.get(key, key)

    @property
    def full(self) -> dict[str, str]:
        """Full keys by those handles that are shorter."""
        return {handle: key for key, handle in self.by_key.items() if handle != key}

    def shorten(self, text: str) -> str:
        """A text with handles in the place of keys."""
        if not self.full:
            return text
        # the longest first, as one key may be the end of another, and whole, as #1 begins #10
        keys = "|".join(re.escape(key) for key in sorted(self.by_key, key=len, reverse=True))
        return re.sub(rf"(?<![\w.])(?:{keys})(?!\d)", lambda found: self[found.group()], text)


def _tails(key: str) -> list[str]:
    """A key without its first part, without its first two, and so on, the longest first."""
    parts = _parts(key)
    return [".".join(parts[start:]) for start in range(len(parts))]


def _parts(key: str) -> list[str]:
    """The path of a long key, of which repeated parts are one; the last part holds the operation as well."""
    name, slash, operation = key.rpartition("/")
    if len(key) <= LONGEST or not slash:
        return key.split(".")
    parts = name.split(".")
    made = []
    while parts:
        unit, times = _repeated(parts)
        made.append(".".join(unit) if times == 1 else f"({'.'.join(unit)})x{times}")
        parts = parts[len(unit) * times :]
    made[-1] += f"/{operation}"
    return made


def _repeated(parts: list[str]) -> tuple[list[str], int]:
    """The part or parts that a path begins with, and how often they follow each other; single names stand as they are.

    >>> _repeated(["model", "3", "model", "3", "model", "5"])
    (['model', '3'], 2)
    """
    for size in range(2, LONGEST_UNIT + 1):
        times = 1
        while parts[:size] == parts[times * size : (times + 1) * size]:
            times += 1
        if times > 1:
            return parts[:size], times
    return parts[:1], 1


def _handle(key: str, shared: Mapping[str, int]) -> str:
    """As many parts from the end as fit, or as many as it takes to be no other key's end, given how many keys share."""
    if len(key) <= LONGEST:
        return key
    handle = key
    for tail in reversed(_tails(key)[1 : 1 - FEWEST_PARTS]):
        # a number is one of many in a list, whose name belongs to it
        if shared[tail] > 1 or tail.partition(".")[0].partition("/")[0].isdigit():
            continue
        shorter = ELLIPSIS + tail
        if handle != key and len(shorter) > LONGEST:
            break
        handle = shorter
    return handle if len(handle) <= len(key) - LEAST_SAVED else key
