"""What to do about a site: the very commands and code, for the model and inputs that were diagnosed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import SiteDiagnosis

PROOF = "Prove that it is gone"
"""What is done once something else was."""


@dataclass(frozen=True)
class Invocation:
    """How `artifactlab diagnose` was called, in so far as the commands that follow repeat it."""

    target: str
    """The factory, as `package.module:factory` or `path/to/file.py:factory`."""
    factory: tuple[str, ...] = ()
    """The words `--kwargs JSON`, or none."""
    checkpoint: tuple[str, ...] = ()
    """The words `--checkpoint FILE`, or none."""
    running: tuple[str, ...] = ()
    """Options that say how the model is run."""
    inputs: tuple[str, ...] = ()
    """The `--input` and `--probe` options; empty where there is nothing to repeat."""
    diagnosing: tuple[str, ...] = ()
    """Options that only `diagnose` has."""
    folder: str = "report"
    """Folder of the report."""

    @property
    def diagnosis(self) -> str:
        """The file that holds the diagnosis."""
        return str(Path(self.folder) / "diagnosis.json")

    @property
    def files(self) -> list[str]:
        """The paths among `inputs`."""
        return [path for flag, path in pairwise(self.inputs) if flag == "--input"]


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    title: str
    """What to do, in a few words."""
    text: str
    """Why to do it, and what to expect."""
    command: str = ""
    """Command line for a shell; empty where there is none."""
    code: str = ""
    """The same in Python; empty where there is none."""


def next_steps(diagnosis: Diagnosis, site: SiteDiagnosis, called: Invocation | None) -> list[Step]:
    """What to do about one site.

    Args:
        diagnosis: what it was found in.
        site: which one.
        called: how; None where it was not on the command line, and only code is given.
    """
    if site.verdict == "compensated":
        return [
            Step(
                "Leave it alone",
                "Its grid is large, but later layers have learned to cancel it: repairing this site alone makes the"
                " output worse. If you replace it, train the layers after it, too (--neighbours), or all of it.",
            )
        ]
    if site.verdict == "suspect":
        return [
            Step(
                "Make sure first",
                "Repairing this site takes most of the artifact, but there is too little content to tell that from"
                " chance. Diagnose again with more inputs of this size.",
            )
        ]
    if site.verdict != "offender":
        harmless = site.verdict == "harmless"
        why = "shows a grid or steps of its own, which do not reach the output" if harmless else "is clean"
        return [Step("Nothing to do here", f"This site {why}. Changing it would not help.")]
    steps = [_suggest(diagnosis, site, called), _swap(diagnosis, site, called), _train(site, called)]
    steps.append(_prove(diagnosis, called))
    return [_lint(called), *steps] if called else steps


def commands_after(diagnosis: Diagnosis, called: Invocation) -> list[tuple[str, str]]:
    """What to type next about the first offender: why, and the command; nothing where there is none."""
    steps = next_steps(diagnosis, diagnosis.offenders[0], called) if diagnosis.offenders else []
    return [(step.title, step.command) for step in steps if step.command and step.title != PROOF]


def _lint(called: Invocation | None) -> Step:
    return Step(
        "See why",
        "Kernel and stride, initialisation, align_corners: what its weights and structure say without data.",
        command=_line(called, "lint", lint=True),
        code="for found in artifactlab.lint(model, trained=True):\n    print(found.site, found.rule, found.detail)",
    )


def _suggest(diagnosis: Diagnosis, site: SiteDiagnosis, called: Invocation | None) -> Step:
    keys = _together(diagnosis, site)
    named = [word for key in keys for word in ("--site", key)]
    return Step(
        "See what cures",
        "Every cure that takes seconds, tried and measured: other weights for the layer, a new layer, a filter"
        " behind the output, with what is left, what it costs in dB and milliseconds, and what to type.",
        command=_line(called, "fix", *named, "--suggest"),
        code=(
            "from artifactlab.fix import suggest\n\n"
            f"print(suggest(model, inputs, {keys if len(keys) > 1 else keys[0]!r}, {_settings(diagnosis)}))"
        ),
    )


def _together(diagnosis: Diagnosis, site: SiteDiagnosis) -> list[str]:
    """The keys of the sites that are changed at once for this one to be cured."""
    together = [step.key for step in diagnosis.joint]
    return together if site.site.key in together else [site.site.key]


def _swap(diagnosis: Diagnosis, site: SiteDiagnosis, called: Invocation | None) -> Step:
    keys = _together(diagnosis, site)
    inputs = "images" if len(diagnosis.directions) == 2 else "inputs"
    named = [word for key in keys for word in ("--site", key)]
    layers, others = "layer", ""
    if len(keys) > 1:
        layers, others = "layers", "Those that leave nothing to see when they are repaired together. "
    shown = called.files if called else []
    distil = [word for path in shown or [f"{inputs.upper()}/"] for word in ("--distil", path)]
    return Step(
        f"Swap the {layers}, keep the model",
        f"{others}A new upsampler starts as the old one's copy without a lattice. With --distil it is trained, without"
        f" labels and nothing else, on any {inputs} of the right kind; without it is the closed form, in a second.",
        command=_line(called, "fix", *named, *distil, "-o", "fixed.safetensors"),
        code=(
            "from artifactlab.fix import fix_site\n\n"
            f"fixed = fix_site(model, inputs, {keys if len(keys) > 1 else keys[0]!r}, distil_on={inputs},"
            f" {_settings(diagnosis)})\n"
            "print(fixed.check.verdict)"
        ),
    )


def _train(site: SiteDiagnosis, called: Invocation | None) -> Step:
    known = _known(called)
    several = len(site.site.calls) > 1
    penalty = f".from_diagnosis(model, {known})" if several else f"(model, [{site.site.key!r}])"
    return Step(
        "Or train it away",
        "In your own training loop: a loss that sees grids and stair-steps in the output, and a penalty on the lattice"
        " in this site's own activation.",
        code=(
            "from artifactlab.fix import EdgeAwareLoss, SitePenalty\n\n"
            f"edge_loss = EdgeAwareLoss.from_diagnosis({known})\n"
            f"with SitePenalty{penalty} as penalty:\n"
            "    output = model(batch)\n"
            "    loss = your_loss(output, target) + edge_loss(output, target) + penalty()"
        ),
    )


def _prove(diagnosis: Diagnosis, called: Invocation | None) -> Step:
    commands = ""
    if called and called.inputs:
        model = [called.target, *called.factory, "--checkpoint", "fixed.safetensors", *called.running]
        again = [*model, *called.inputs, *called.diagnosing, "-o", "after"]
        before = called.diagnosis
        commands = (
            f"artifactlab diagnose {shlex.join(again)}\n"
            f"artifactlab compare {shlex.quote(before)} after/diagnosis.json --fail-on-regression"
        )
    return Step(
        PROOF,
        "Diagnose again on the same inputs, and compare in pairs: better, worse or cannot tell, with an interval.",
        command=commands,
        code=(
            f"after = artifactlab.diagnose(fixed.model, inputs, {_settings(diagnosis)}{_layout(diagnosis)})\n"
            f"print(artifactlab.compare({_known(called)}, after).text)"
        ),
    )


def _known(called: Invocation | None) -> str:
    """The diagnosis in Python: the file of one that the command line made."""
    return repr(called.diagnosis) if called else "diagnosis"


def _settings(diagnosis: Diagnosis) -> str:
    """What must be the same again, as keyword arguments."""
    config = diagnosis.config
    given = {"output": config.output, "data_range": config.data_range, "seed": config.seed}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)


def _layout(diagnosis: Diagnosis) -> str:
    """What the axes of the output are, where they may have been told."""
    layout = diagnosis.config.layout
    return "" if layout == "NCHW" else f", layout={layout!r}"


def _line(called: Invocation | None, command: str, *extra: str, lint: bool = False) -> str:
    """A command for the model that was diagnosed; `lint` asks for less, as it runs nothing."""
    if called is None:
        return ""
    model = [called.target, *called.factory, *called.checkpoint]
    run = [] if lint else [*called.running, *called.inputs]
    return f"artifactlab {command} {shlex.join([*model, *run, *extra])}"
