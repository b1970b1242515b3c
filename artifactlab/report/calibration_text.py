"""Gates that were chosen, and what they catch and accuse, in the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.comparing.calibration import Calibration, Share


def calibration_text(calibration: Calibration) -> Group:
    """A row per gate, all of them together, and what was wanted."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("gate", no_wrap=True)
    table.add_column("bad images caught")
    table.add_column("good images accused")
    for chosen in calibration.gates:
        table.add_row(str(chosen.gate), _share(chosen.caught), _share(chosen.accused))
    if len(calibration.gates) > 1:
        table.add_row(Text("any of them", style="bold"), _share(calibration.caught), _share(calibration.accused))
    said = (
        f"Counted on images that had no say in choosing, with {CONFIDENCE:.0%} intervals;"
        f" at most {calibration.false_alarms:.3g} of good images were to be accused."
    )
    left_out = f" No gate is on {', '.join(calibration.left_out)}, which some good image has no score in."
    return Group(table, Text(), Text(said + (left_out if calibration.left_out else "")))


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.count} of {share.images} ({low:.1%} to {high:.1%})"
