"""Names as text: what a file, a module or a weight is called is data, and must not move the cursor or end a line."""

from __future__ import annotations

import re

# No file system takes longer file names than 255; a path of that many characters is still readable.
LONGEST_WORD = 400
"""Characters of a word that are printed; of a longer one its beginning and its end."""
# The longest verdicts have about a tenth of that.
LONGEST_TEXT = 20_000
"""Characters of a text that are printed, likewise."""


def printable(text: str) -> str:
    """A text on one line, with everything that is no visible character escaped, as `repr` does it.

    That is control characters and so terminals' escape sequences, ends of lines of all kinds, marks that turn the
    direction of writing, and what stands for the bytes of a file name that is no UTF-8. Absurdly long words lose
    their middle.

    >>> printable("photo" + chr(27) + "[2J" + chr(10) + ".png")
    'photo\\\\x1b[2J\\\\n.png'
    """
    if not text.isprintable():
        text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    if len(text) <= LONGEST_WORD:
        return text
    return _shortened(re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: _shortened(word[0], LONGEST_WORD), text))


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def _shortened(text: str, most: int = LONGEST_TEXT) -> str:
    """Two thirds of what there is room for from the beginning, the rest from the end."""
    if len(text) <= most:
        return text
    return f"{text[: 2 * most // 3]}...({len(text)} characters)...{text[-most // 3 :]}"
