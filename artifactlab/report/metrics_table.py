"""What the numbers of `score` and `diagnose` mean, for people and for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from artifactlab.metrics.visible import VISIBLE_STEPS, visible_grid
from artifactlab.report.glossary import GLOSSARY
from artifactlab.scoring.measures import METRICS
from artifactlab.serialize import program

SCHEMA_VERSION = "1.0"
"""Version of the JSON that `artifactlab metrics` prints."""
OUTPUT_NUMBERS = {
    "severity": ("1 just shows", GLOSSARY["severity"]),
    "lattice_amplitude": (
        "fraction of the data range",
        f"rms of grids of the sites' periods; of period 2 it shows from {visible_grid(2):.4f} on, of 8 from"
        f" {visible_grid(8):.4f}",
    ),
    "edge_jaggedness": (
        "pixels",
        f"how far stair-steps of the sites' periods displace edges; from {VISIBLE_STEPS:g} on it shows",
    ),
    "axis_excess": ("share, 0 to 1", "gradient energy on oblique edges that points along a pixel axis"),
    "checkerboard_energy": ("share, 0 to 1", "fine structure that is a constant grid of the sites' periods"),
}
"""What a diagnosis says of the model's output: names with units and descriptions. Lower is better in all of them."""
SITE_NUMBERS = {
    "effect": ("of severity", GLOSSARY["effect"]),
    "share": ("of the output's severity, 1 is all", GLOSSARY["share"]),
    "evidence": ("as of the output", GLOSSARY["evidence"]),
}
"""What a diagnosis says of a site, likewise; none of these is better when it is lower or higher."""


def metrics_data() -> dict[str, Any]:
    """Every number by the command that reports it."""
    scores = [
        {
            "name": name,
            "unit": metric.unit,
            "better": metric.better,
            "smallest": list(metric.smallest),
            "needs_reference": metric.needs_reference,
            "description": metric.description,
        }
        for name, metric in METRICS.items()
    ]
    diagnosed = [
        {"name": name, "unit": unit, "better": better, "description": text}
        for numbers, better in ((OUTPUT_NUMBERS, "lower"), (SITE_NUMBERS, None))
        for name, (unit, text) in numbers.items()
    ]
    return {"schema_version": SCHEMA_VERSION, "tool": program(), "score": scores, "diagnose": diagnosed}


def metrics_table() -> Group:
    """The same as a list, which fits any width."""
    data = metrics_data()
    parts: list[RenderableType] = [Text("score: of image files", style="bold underline")]
    parts += [part for number in data["score"] for part in _explained(number)]
    parts += [Text(), Text("diagnose: of a model's output, and of its sites", style="bold underline")]
    parts += [part for number in data["diagnose"] for part in _explained(number)]
    return Group(*parts)


def _explained(number: dict[str, Any]) -> list[RenderableType]:
    facts = [number["unit"]]
    if number["better"]:
        facts.append(f"{number['better']} is better")
    if "smallest" in number:
        height, width = number["smallest"]
        facts.append(f"image from {height}x{width} pixels")
    if number.get("needs_reference"):
        facts.append("needs a reference")
    return [
        Text.assemble((number["name"], "bold"), f"  {'; '.join(facts)}"),
        Padding(Text(number["description"]), (0, 0, 0, 4)),
    ]
