"""The frozen records that flow between the stages: Site -> Evidence -> Effect -> Diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.scoring.data_range import RangeFrom

Verdict = Literal["offender", "suspect", "harmless", "compensated", "clean"]
Kind = Literal["checkerboard", "stair-step"]
FindingKind = Literal["misregistration", "seam", "input", "constant pattern"]


@dataclass(frozen=True)
class Effect:
    """How much of the *output's* artifact disappears when this site alone is repaired. Signed: negative is worse."""

    value: float
    """Drop of the output's severity, see `artifactlab.severity`; 1 is a grid that just shows."""
    low: float | None
    """Lower end of the 90% interval for what a real cure would do to these inputs; None where there is only one
    crop."""
    high: float | None
    """Upper end of that interval; None where there is only one crop."""
    share: float | None
    """`value` as a fraction of the output's severity; None where the output shows nothing."""
    kind: Kind
    """The artifact that carries the larger part of the change."""


@dataclass(frozen=True)
class SiteDiagnosis:
    """Everything that is known about one site."""

    site: Site
    """The site itself."""
    evidence: Evidence
    """What the activation of the site shows."""
    effect: Effect
    """What the site does to the output."""
    verdict: Verdict
    """`offender`, `suspect` (the likeliest cause, but too little content to be sure), `harmless` (evidence, no effect),
    `compensated` (repairing it makes the output worse) or `clean`."""
    rank: int
    """Place among the sites by effect, 1 for the largest."""
    order: int
    """Place among the sites in the order they run, 1 for the first."""
    verified: bool = True
    """Whether the site was repaired in real forward passes. Else its effect is an estimate of the first order, which
    accuses nobody but in a fast diagnosis."""

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
    """Key of the site that is repaired in addition."""
    adds: Effect
    """How much more of the output's severity goes; in the first step it is the site's own effect."""
    severity: float
    """Severity that remains."""


@dataclass(frozen=True)
class Finding:
    """A cause of bad edges that is no site's own lattice."""

    kind: FindingKind
    """`misregistration`: features that meet are displaced; `seam`: the output repeats at a period that no site has;
    `input`: what shows came in with the input; `constant pattern`: a grid that is the same whatever the input."""
    where: str
    """Key of the merge, e.g. `dec/cat#0`; `output` for a seam; `input`; the parameter that draws a constant pattern."""
    value: tuple[float, ...]
    """Displacement in pixels of the merge, or period in output pixels (0 for none), along each direction: (vertical,
    horizontal) of images, (depth or time, vertical, horizontal) of volumes."""
    error: tuple[float, ...]
    """Standard error of `value`; 0 for a period, which is a whole number."""
    text: str
    """What was found and what to do, in one or two sentences."""


class ReadableByName(Mapping[str, Any]):
    """A record whose fields can be read as `record["name"]`, too: in 0.1 these records were dicts, see `Diagnosis`."""

    def __getitem__(self, name: str) -> Any:
        if name not in list(self):
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))  # type: ignore[arg-type]  # the records below are dataclasses

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass(frozen=True)
class SeverityMeasures(ReadableByName):
    """How bad outputs are, and the two artifacts that this is made of."""

    severity: float
    """Severity of both artifacts together, see `artifactlab.severity`; 1 is what just shows."""
    lattice_amplitude: float
    """Root mean square of the grids, as a fraction of the data range."""
    edge_jaggedness: float
    """Root mean square by which stair-steps displace edges, in pixels."""


@dataclass(frozen=True)
class SliceMeasures(SeverityMeasures):
    """How bad the slices of volumes are that lie one way, as pictures: what somebody sees who leafs through them."""

    axes: tuple[int, int]
    """Which two of the volumes' directions, counted from 0, the slices show."""


@dataclass(frozen=True)
class OutputMeasures(SeverityMeasures):
    """What a diagnosis measures on the outputs themselves."""

    axis_excess: float | None
    """Excess of edges along the axes, as `artifactlab.metrics.axis_excess` measures it; None of signals, which have no
    edges with a direction."""
    checkerboard_energy: float
    """Share of the energy in step with the lattice, as `artifactlab.metrics.checkerboard_energy` measures it."""
    slices: tuple[SliceMeasures, ...] = ()
    """Of volumes, the slices along each two of their directions; empty for images and signals."""


@dataclass(frozen=True)
class DiagnoseSettings(ReadableByName):
    """What a diagnosis was made with: the arguments of `diagnose`, and what follows from the inputs."""

    inputs: int
    """Number of inputs that were diagnosed."""
    inputs_sha256: str
    """SHA-256 of the bytes and shapes of all tensors in the inputs."""
    crops: int
    """Number of crops that the outputs were cut into, of which intervals draw halves."""
    output: str | int | None
    """Key, attribute, index or path of the output that was to be judged; None for the largest image-like tensor."""
    data_range: float
    """Distance between the output's darkest and brightest value, see `range_from`."""
    sites: str
    """Glob over site keys; other sites were neither repaired nor reported."""
    fast: bool
    """Whether all effects are estimates from one backward pass."""
    calls: bool
    """Whether every call of a layer was judged by itself."""
    verify_all: bool
    """Whether every site was to be repaired, however many there are."""
    until_sure: float | None
    """Seconds in which more inputs were drawn; None where all that were given were used."""
    seed: int
    """Seed of the random state of every forward pass, and of the half-samples."""
    period: tuple[int, ...]
    """Period of the lattice that the outputs were measured at, in pixels: of images (vertical, horizontal), of volumes
    (depth or time, vertical, horizontal), of signals one."""
    confidence: float
    """Confidence level of all intervals."""
    layout: str = "NCHW"
    """What the axes of the output are, see `artifactlab.models.layout.Layout`."""
    judged: str = "output"
    """Path of the tensor that was judged, such as `output['logits']`; `output` where it is all the model returned."""
    range_from: RangeFrom = "given"
    """How the data range is known: `given`; `pixels`, as the values run as those of pictures do; or `quantiles`."""


@dataclass(frozen=True)
class HalfSamples(ReadableByName):
    """The two parts of severity in random halves of the crops; empty where there is only one crop."""

    grid: tuple[float, ...] = ()
    """Severity of the grids in each half."""
    steps: tuple[float, ...] = ()
    """Severity of the stair-steps in each half."""


@dataclass(frozen=True)
class ModelSource(ReadableByName):
    """Where a model came from."""

    source: str | None = None
    """What was given to find it, such as `package.module:factory`; None for a model that was passed as an object."""
    sha256: str | None = None
    """SHA-256 of its checkpoint; None where there is none."""
