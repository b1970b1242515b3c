"""Whether to claim that a fix worked, and the sentence that says so or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from artifactlab.fix.likeness import Likeness, Possible
from artifactlab.fix.local_check import WindowChange
from artifactlab.fix.may_stay import MIN_DROP, Change, came_up, may_stay, stays
from artifactlab.scoring.severity import VISIBLE


@dataclass(frozen=True)
class Form:
    """One form of artifact over all outputs."""

    name: str
    """As it is called in sentences."""
    severity: Change
    """Before and after."""
    repaired: float
    """With the sites of the old model repaired; 0 if nobody knows."""


@dataclass
class Findings:
    """What was found of a fix, in words."""

    failures: list[str] = field(default_factory=list)
    """Why it is none."""
    gone: list[str] = field(default_factory=list)
    """What went."""
    others: list[str] = field(default_factory=list)
    """What shows and stays, as others draw it."""

    def add(self, form: Form) -> None:
        """Judge a form over all outputs."""
        before, after = form.severity
        excused = may_stay(before, form.repaired)
        shown = before >= VISIBLE
        went = f"{min(1.0, 1 - after / before):.0%} of the {form.name}" if shown else ""
        if shown and after <= (1 - MIN_DROP) * before:
            if stays(after, excused):
                self.failures.append(f"{went} went, and what is left shows (severity {after:.1f})")
            self.gone.append(went)
        elif shown and not excused:
            self.failures.append(f"{went} went")
        elif came_up(before, after, excused):
            self.failures.append(f"the output now shows {'more ' if shown else ''}{form.name}")
        elif shown:
            self.others.append(form.name)


def fix_verdict(
    sites: Sequence[str],
    forms: Sequence[Form],
    other_grids: Sequence[Change],
    window: WindowChange | None,
    likeness: Likeness,
    possible: Possible,
) -> tuple[bool, str]:
    """Whether it is a cure, and a sentence that says so or why not.

    Args:
        sites: keys of what was replaced.
        forms: the grid first, then the stair-steps, of the sites' period over all outputs.
        other_grids: severities of grids of other periods.
        window: the one that speaks against it, if any does.
        likeness: how much of the outputs is as it was.
        possible: what a perfect cure could keep.
    """
    found = Findings()
    for form in forms:
        found.add(form)
    grid = forms[0].name
    if any(came_up(*change, 0.0) for change in other_grids):
        found.failures.append(f"the output now shows {_one(grid)} of another period")
    if window:
        how = "came up" if came_up(*window.severity, 0.0) else "stayed"
        found.failures.append(f"{_one(window.form)} {how} in a window (severity {window})")
    found.failures += likeness.losses(possible)
    if found.failures:
        return False, f"Not fixed: {'; '.join(found.failures)}."
    others = f"the {' and '.join(found.others)} that {_shows(found.others)} there without {' and '.join(sites)}, too"
    if not found.gone:
        neither = f"the output showed neither {' nor '.join(form.name for form in forms)} at the period of"
        nothing = others if found.others else f"{neither} {' and '.join(sites)}"
        return False, f"Nothing to fix: {nothing} ({likeness})."
    stay = f"; {others}" if found.others else ""
    return True, f"Fixed: {' and '.join(found.gone)} went, and {likeness.whole} is the same ({likeness}){stay}."


def _shows(names: Sequence[str]) -> str:
    return "shows is" if list(names) == ["grid"] else "show are"


def _one(lattice: str) -> str:
    """A grid, or tones and steps, of which there are always several."""
    return f"a {lattice}" if lattice == "grid" else lattice
