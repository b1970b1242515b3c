"""The frozen records that flow between the stages: Site -> Evidence -> Effect -> Diagnosis."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from artifactlab.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

SCHEMA_VERSION = "1.3"

Verdict = Literal["offender", "harmless", "compensated", "clean"]
Kind = Literal["checkerboard", "stair-step"]
Follows = Literal["layers", "pointwise", "bounding"]
OUTPUT_NAMES = ("severity", "lattice_amplitude", "edge_jaggedness", "axis_excess", "checkerboard_energy")
"""what a diagnosis measures on the output itself"""
FindingKind = Literal["misregistration", "seam", "input", "constant pattern"]


@dataclass(frozen=True)
class Site:
    """One place where the spatial size grows while the model runs."""

    name: str
    """qualified name of the module whose `forward` made the call; empty for the model itself"""
    op: str
    """the call that grew it: `conv_transpose2d`, `interpolate`, `pixel_shuffle`, `reshape`, ..., or `module` for a
    hand-made one that only shows in its module's input and output"""
    call: int
    """how many times this op had run in this module before, in one forward pass; of a layer, its first call"""
    scale: tuple[float, float]
    """how much it grows its input, (vertical, horizontal)"""
    period: tuple[float, float]
    """its lattice spacing in output pixels: its scale times the scales of what its result passes on its way out"""
    in_shape: tuple[int, ...]
    """shape of its input as an (N, C, H, W) tensor, in the last forward pass"""
    out_shape: tuple[int, ...]
    """shape of its output as an (N, C, H, W) tensor, in the last forward pass"""
    calls: tuple[int, ...] = ()
    """all calls of the layer in one forward pass, which are repaired together"""
    followed_by: Follows = "layers"
    """what its result passes on its way out: `layers`, which may undo what it draws; or nothing but functions of single
    values, `pointwise`, or `bounding` where a sigmoid, a softmax or a tanh is one of them"""

    @property
    def opaque(self) -> bool:
        """Whether it is the model as a whole: nothing inside could be seen to enlarge anything."""
        return not self.name and self.op == "module"

    @property
    def keys(self) -> frozenset[tuple[str, str, int]]:
        """(name, op, call) of each of its calls."""
        return frozenset((self.name, self.op, call) for call in self.calls or (self.call,))

    @property
    def key(self) -> str:
        """What the site is called everywhere, e.g. `dec.up2/interpolate#0`."""
        return f"{self.name}/{self.op}#{self.call}" if self.name else f"{self.op}#{self.call}"

    @property
    def label(self) -> str:
        """Its key, and how many calls that stands for where it is more than one."""
        return f"{self.key} ({len(self.calls)} calls)" if len(self.calls) > 1 else self.key


@dataclass(frozen=True)
class Evidence:
    """What is measured at the site's own activation, averaged over forward passes. It shows, it does not accuse."""

    edge_jaggedness: float
    """pixels of the activation"""
    axis_excess: float
    """share of the gradient energy on oblique edges that points along a pixel axis, 0 to 1"""
    checkerboard_energy: float
    """share of the activation's fine structure that is locked to the site's own lattice, 0 to 1"""


@dataclass(frozen=True)
class CapturedSite:
    """A site and its evidence: what `capture` lists."""

    site: Site
    """where"""
    evidence: Evidence
    """what its activation shows"""


@dataclass(frozen=True)
class Effect:
    """How much of the *output's* artifact disappears when this site alone is repaired. Signed: negative is worse."""

    value: float
    """drop of the output's severity, see `artifactlab.severity`; 1 is a grid that just shows"""
    low: float | None
    """lower end of the 90% interval for what a real cure would do to these inputs; None where there is only one crop"""
    high: float | None
    """upper end of that interval"""
    share: float | None
    """`value` as a fraction of the output's severity; None where the output shows nothing"""
    kind: Kind
    """which of the two artifacts carries the larger part of the change"""


@dataclass(frozen=True)
class SiteDiagnosis:
    """Everything known about one site."""

    site: Site
    """where"""
    evidence: Evidence
    """what its activation shows"""
    effect: Effect
    """what it does to the output"""
    verdict: Verdict
    """`offender`, `harmless` (evidence, no effect), `compensated` (repairing it makes the output worse) or `clean`"""
    rank: int
    """1 for the largest effect"""
    order: int
    """1 for the site that runs first"""
    verified: bool = True
    """whether it was repaired in real forward passes; else its effect is an estimate of the first order, which accuses
    nobody but in a fast diagnosis"""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in the JSON."""
        return {**asdict(self.site), "evidence": asdict(self.evidence), "effect": asdict(self.effect)} | {
            "verdict": self.verdict,
            "rank": self.rank,
            "order": self.order,
            "verified": self.verified,
        }


@dataclass(frozen=True)
class JointStep:
    """One step of repairing the guilty sites together, each on top of those before it."""

    key: str
    """the site that is repaired in addition"""
    adds: Effect
    """how much more of the output's severity goes; the first step's is the site's own effect"""
    severity: float
    """what is left"""


@dataclass(frozen=True)
class Finding:
    """A cause of bad edges that is no site's own lattice."""

    kind: FindingKind
    """`misregistration`: features that meet are displaced; `seam`: the output repeats at a period that no site has;
    `input`: what shows came in with the input; `constant pattern`: a grid that is the same whatever the input"""
    where: str
    """key of the merge, e.g. `dec/cat#0`; `output` for a seam; `input`; the parameter that draws a constant pattern"""
    value: tuple[float, float]
    """(vertical, horizontal): displacement in pixels of the merge, or period in output pixels, 0 for none"""
    error: tuple[float, float]
    """standard error of `value`; 0 for a period, which is a whole number"""
    text: str
    """what was found and what to do, in one or two sentences"""


@dataclass(frozen=True)
class Window:
    """A part of an output."""

    top: int
    """row of its first pixel in the output"""
    left: int
    """column of its first pixel in the output"""
    pixels: Tensor
    """(C, h, w)"""

    def cut(self, image: Tensor) -> Tensor:
        """The same part of another (C, H, W) image."""
        height, width = self.pixels.shape[1:]
        return image[:, self.top : self.top + height, self.left : self.left + width].float()


@dataclass(frozen=True)
class Example:
    """One input with what the pictures need: shown, never serialised."""

    input: Tensor | None
    """the first image-like input tensor (C, H, W), None where the model takes no image"""
    output: Tensor
    """the output (C, H, W)"""
    changes: dict[str, Tensor]
    """site key -> (H, W): how far repairing that site moves each output pixel, as a fraction of the data range"""
    repaired: dict[str, Window] = field(default_factory=dict)
    """site key -> the output with that site repaired, where that changes it most"""
    activations: dict[str, Tensor] = field(default_factory=dict)
    """site key -> (C, h, w): some channels of the middle of the site's own output"""


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`."""

    sites: tuple[SiteDiagnosis, ...]
    """every site, largest effect first"""
    verdict: str
    """in plain words, the main finding first"""
    output: dict[str, float]
    """what the output itself shows, by `OUTPUT_NAMES`"""
    config: dict[str, Any]
    """the settings that produced it"""
    joint: tuple[JointStep, ...] = ()
    """the offenders repaired together, greedily; empty where there is none"""
    findings: tuple[Finding, ...] = ()
    """causes that are no site's lattice: misregistered features, seams"""
    per_input: tuple[dict[str, float], ...] = ()
    """`severity`, `lattice_amplitude` and `edge_jaggedness` of what the model makes of each input"""
    half_samples: dict[str, tuple[float, ...]] = field(default_factory=lambda: {"grid": (), "steps": ()}, repr=False)
    """the two parts of severity, of random halves of the crops: the same halves for the same seed and number of crops,
    see `artifactlab.compare`; empty where there is only one crop"""
    model: dict[str, str | None] = field(default_factory=lambda: {"source": None, "sha256": None})
    """where the model came from and the digest of its checkpoint"""
    examples: tuple[Example, ...] = field(default=(), repr=False, compare=False)
    """the first calls, for pictures"""

    @property
    def offenders(self) -> tuple[SiteDiagnosis, ...]:
        """The sites whose verdict is `offender`, largest effect first."""
        return tuple(site for site in self.sites if site.verdict == "offender")

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/diagnosis.json`: None instead of NaN."""
        return plain(
            {
                "schema_version": SCHEMA_VERSION,
                "tool": tool(),
                "model": self.model,
                "config": self.config,
                "verdict": self.verdict,
                "sites": [site.to_dict() for site in self.sites],
                "joint": [asdict(step) for step in self.joint],
                "findings": [asdict(finding) for finding in self.findings],
                "output": self.output,
                "per_input": self.per_input,
                "half_samples": self.half_samples,
            }
        )

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def artifact_map(self, key: str, example: int = 0) -> Tensor:
        """Where in the output a site acts: how far repairing it moves each pixel.

        Args:
            key: of the site, e.g. `dec.up2/interpolate#0`.
            example: which of the first calls; of each it is the first image.

        Returns:
            (H, W), in fractions of the data range.

        Raises:
            InputError: if there is no such site or example, or the diagnosis was a fast one.
        """
        return self._kept("changes", key, example)

    def before_and_after(self, key: str, example: int = 0) -> tuple[Tensor, Tensor]:
        """The output as it is and with one site repaired, in the window where the repair changes it most.

        Args:
            key: of the site, e.g. `dec.up2/interpolate#0`.
            example: which of the first calls; of each it is the first image.

        Returns:
            Two (C, h, w) tensors of at most 256 pixels a side, in the model's own values.

        Raises:
            InputError: as `artifact_map`.
        """
        after = self._kept("repaired", key, example)
        return after.cut(self.examples[example].output), after.pixels

    def activation(self, key: str, example: int = 0) -> Tensor:
        """The middle of what a site itself put out, in at most 8 channels, evenly spread. It shows, it does not accuse.

        Args:
            key: of the site, e.g. `dec.up2/interpolate#0`.
            example: which of the first calls; of each it is the first image.

        Returns:
            (C, h, w) of at most 256 pixels a side, in step with the site's lattice.

        Raises:
            InputError: if there is no such site or example.
        """
        return self._kept("activations", key, example)

    def _kept(self, what: str, key: str, example: int) -> Any:
        """What an example keeps of a site."""
        if self.config["fast"] and what != "activations":
            raise InputError("a fast diagnosis carries no artifact maps: it repairs nothing; leave fast out")
        if not 0 <= example < len(self.examples):
            raise InputError(f"there is no example {example}: this diagnosis carries {len(self.examples)}")
        kept = getattr(self.examples[example], what)
        if key not in kept and any(site.site.key == key and not site.verified for site in self.sites):
            raise InputError(f"{key} was not repaired, its effect is an estimate; diagnose with verify_all=True")
        if key not in kept:
            raise InputError(f"no site {key!r}; the diagnosis has {', '.join(kept)}")
        return kept[key]

    def to_html(self) -> str:
        """The report as one self-contained page of at most 5 MB: pictures, what to do next, and the JSON."""
        from artifactlab.report.page import report_page  # upwards, lazily, as the two below

        return report_page(self)

    def plot(self) -> Figure:
        """Input, output crop, where the artifact is, and bars per site, as a matplotlib figure.

        Raises:
            InputError: if the diagnosis carries no example images.
        """
        from artifactlab.report.figures import plot_diagnosis

        return plot_diagnosis(self)

    def plot_maps(self, example: int = 0) -> Figure:
        """The artifact map of every site over one output, as a matplotlib figure.

        Raises:
            InputError: if there is no such example.
        """
        from artifactlab.report.figures import plot_maps

        return plot_maps(self, example)


def tool() -> dict[str, str]:
    """Name and version of this program, for the JSON."""
    from importlib.metadata import version

    return {"name": "artifactlab", "version": version("artifactlab")}


def plain(value: Any) -> Any:
    """The same data with tuples as lists and non-finite numbers as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
