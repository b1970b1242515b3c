"""What the words of a diagnosis mean: the terminal, the page and `artifactlab metrics` all say it from here."""

from __future__ import annotations

from collections.abc import Collection

from artifactlab.attribution.records import Verdict

GLOSSARY = {
    "site": "One place where the model enlarges: its module, what is called there, and the number of the call.",
    "period": "How far apart the lines of the grid are that a site may draw, in pixels of the output.",
    "evidence": "What the site's own activation shows. It accuses nobody: most of it never reaches the output.",
    "effect": "How much of the output's severity goes when this site alone is repaired, with the interval that holds it"
    " nine times in ten. Below 0 the output gets worse.",
    "share": "The effect as a part of the output's severity.",
    "severity": "How much shows in the output: the square of how many times as strong it is as what just shows. So 1"
    " just shows, and 4 is twice that. Grids and stair-steps add up.",
    "grid": "How strong the lattice is that is alike everywhere, as a root mean square.",
    "jaggedness": "How far stair-steps displace edges, as a root mean square.",
}
"""Words in the order in which the terminal first says them, with what each means."""
VERDICTS: dict[Verdict, str] = {
    "offender": "Repairing this site alone takes a part of the artifact out of the output: it causes it.",
    "suspect": "Repairing it takes most of the artifact, but there is too little content to tell that from chance.",
    "harmless": "Its activation shows a grid or steps, but repairing it changes next to nothing in the output.",
    "compensated": "Repairing it makes the output worse: later layers have learned to cancel what it draws.",
    "clean": "Neither its activation nor its effect shows anything.",
}
"""What is said of a site in a word, with what that means."""
ESTIMATED = "By a first-order estimate, repairing this site would take a part of the artifact out of the output."
"""What an offender is where nothing was repaired."""


def verdict_meanings(fast: bool = False) -> dict[str, str]:
    """What each verdict means, in a fast diagnosis or in another one.

    >>> verdict_meanings()["clean"]
    'Neither its activation nor its effect shows anything.'
    """
    return {word: ESTIMATED if fast and word == "offender" else text for word, text in VERDICTS.items()}


def glossary_of(verdicts: Collection[str], fast: bool = False) -> dict[str, str]:
    """The words of a diagnosis with what they mean, in the order they are read; of the verdicts those that it says."""
    said = {word: text for word, text in verdict_meanings(fast).items() if word in verdicts}
    order = list(GLOSSARY)
    numbers, below = (order[: order.index("severity")], order[order.index("severity") :])
    return {word: GLOSSARY[word] for word in numbers} | said | {word: GLOSSARY[word] for word in below}
