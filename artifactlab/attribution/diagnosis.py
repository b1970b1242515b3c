"""The frozen record that `diagnose` returns, and what it keeps for pictures."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifactlab.attribution.handles import Handles
from artifactlab.attribution.reading import read_data, record_of
from artifactlab.attribution.records import (
    DiagnoseSettings,
    Finding,
    HalfSamples,
    JointStep,
    ModelSource,
    OutputMeasures,
    SeverityMeasures,
    SiteDiagnosis,
)
from artifactlab.attribution.windows import Window
from artifactlab.errors import InputError
from artifactlab.frames import Library, data_frame
from artifactlab.models.layout import Layout
from artifactlab.printable import printable
from artifactlab.serialize import json_data, program
from artifactlab.views import VIEWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

SCHEMA_VERSION = "1.5"
OUTPUT_NAMES = tuple(measure.name for measure in fields(OutputMeasures) if measure.name != "slices")
"""Names of the numbers that a diagnosis measures on the output itself."""


@dataclass(frozen=True)
class Example:
    """One input with what the pictures need: shown, never serialised."""

    input: Tensor | None
    """The first input tensor that looks like the output, (C, *space); None where the model takes none, but latents."""
    output: Tensor
    """The output (C, *space)."""
    changes: dict[str, Tensor]
    """How far repairing a site moves each output pixel (*space), as a fraction of the data range, by site key."""
    repaired: dict[str, Window] = field(default_factory=dict)
    """The output with a site repaired, where that changes it most, by site key."""
    activations: dict[str, Tensor] = field(default_factory=dict)
    """Some channels of the middle of a site's own output (C, *space), by site key."""


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The result of `diagnose`.

    `output`, `config`, `per_input`, `half_samples` and `model` hold records, whose fields are also read by name:
    `diagnosis.output["severity"]` is `diagnosis.output.severity`.
    """

    sites: tuple[SiteDiagnosis, ...]
    """Every site, the largest effect first."""
    verdict: str
    """The result in plain words, the main finding first."""
    output: OutputMeasures
    """What the outputs themselves show."""
    config: DiagnoseSettings
    """The settings that produced the diagnosis."""
    joint: tuple[JointStep, ...] = ()
    """The offenders repaired together, greedily; empty where there is none."""
    findings: tuple[Finding, ...] = ()
    """Causes that are no site's lattice, such as misregistered features, seams and what the input brings."""
    per_input: tuple[SeverityMeasures, ...] = ()
    """What the model makes of each input."""
    half_samples: HalfSamples = field(default_factory=HalfSamples, repr=False)
    """Severity in random halves of the crops, the same halves for the same seed and number of crops. `compare` pairs
    two diagnoses by them."""
    model: ModelSource = field(default_factory=ModelSource)
    """Where the model came from, with the digest of its checkpoint."""
    finding: str = field(default="", repr=False)
    """The main finding of the verdict by itself, which is what headings show."""
    examples: tuple[Example, ...] = field(default=(), repr=False, compare=False)
    """The first calls, for pictures."""

    @property
    def offenders(self) -> tuple[SiteDiagnosis, ...]:
        """The sites whose verdict is `offender`, largest effect first."""
        return tuple(site for site in self.sites if site.verdict == "offender")

    @property
    def heading(self) -> str:
        """The main finding alone; the whole verdict where that was not told apart in it."""
        return self.finding if self.finding and self.finding in self.verdict else self.verdict

    @property
    def remarks(self) -> str:
        """What the verdict says behind its main finding: other sites, and what was judged; may be empty."""
        return self.verdict.partition(self.heading)[2].strip()

    @property
    def doubt(self) -> str:
        """What the verdict says before its main finding, which may mean nothing then: of ranges that cannot be."""
        return self.verdict.partition(self.heading)[0].strip()

    @property
    def directions(self) -> tuple[str, ...]:
        """Names of the directions of the output: `t`, `z`, `y`, `x`."""
        return Layout(self.config.layout).names

    @cached_property
    def handles(self) -> Handles:
        """Short names of sites whose keys are long, for what people read."""
        return Handles.of(site.site.key for site in self.sites)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/diagnosis.json`: None instead of NaN."""
        return json_data(
            {
                "schema_version": SCHEMA_VERSION,
                "tool": program(),
                "model": asdict(self.model),
                "config": asdict(self.config),
                "verdict": self.verdict,
                "sites": [site.to_dict() for site in self.sites],
                "joint": [asdict(step) for step in self.joint],
                "findings": [asdict(finding) for finding in self.findings],
                "output": asdict(self.output),
                "per_input": [asdict(measures) for measures in self.per_input],
                "half_samples": asdict(self.half_samples),
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
            (*space) as the output: (H, W) of images, (D, H, W) or (T, H, W) of volumes and video, (L,) of signals; in
            fractions of the data range.

        Raises:
            InputError: if there is no such site or example, or the diagnosis was a fast one.
        """
        change: Tensor = self._kept("changes", key, example)
        return change.float()  # those of volumes are kept in half precision

    def before_and_after(self, key: str, example: int = 0) -> tuple[Tensor, Tensor]:
        """The output as it is and with one site repaired, in the window where the repair changes it most.

        Args:
            key: of the site, e.g. `dec.up2/interpolate#0`.
            example: which of the first calls; of each it is the first image.

        Returns:
            Two (C, *space) tensors in the model's own values: of images at most 256 pixels a side, of volumes and video
            64, of signals 65536 samples.

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
            (C, *space), as much as of an output in `before_and_after`, in step with the site's lattice.

        Raises:
            InputError: if there is no such site or example.
        """
        return self._kept("activations", key, example)

    def _kept(self, what: str, key: str, example: int) -> Any:
        """What an example keeps of a site."""
        if self.config.fast and what != "activations":
            raise InputError("a fast diagnosis carries no artifact maps: it repairs nothing; leave fast out")
        if not 0 <= example < len(self.examples):
            raise InputError(f"there is no example {example}: this diagnosis carries {len(self.examples)}")
        kept = getattr(self.examples[example], what)
        if key not in kept and any(site.site.key == key and not site.verified for site in self.sites):
            raise InputError(f"{key} was not repaired, its effect is an estimate; diagnose with verify_all=True")
        if key not in kept:
            raise InputError(f"no site {key!r}; the diagnosis has {', '.join(kept)}")
        return kept[key]

    @classmethod
    def load(cls, path: str | Path) -> Diagnosis:
        """A diagnosis that was written as JSON, such as the `diagnosis.json` of a report; without pictures.

        Args:
            path: of the file, or of the report's folder.

        Raises:
            InputError: if it cannot be read, is damaged, or was written by another version.
        """
        data = read_data(path, SCHEMA_VERSION)
        try:
            return cls(
                sites=tuple(map(_site_of, data["sites"])),
                verdict=str(data["verdict"]),
                output=record_of(OutputMeasures, data["output"]),
                config=record_of(DiagnoseSettings, data["config"]),
                joint=record_of(tuple[JointStep, ...], data["joint"]),
                findings=record_of(tuple[Finding, ...], data["findings"]),
                per_input=record_of(tuple[SeverityMeasures, ...], data["per_input"]),
                half_samples=record_of(HalfSamples, data["half_samples"]),
                model=record_of(ModelSource, data["model"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{str(path)!r} is damaged ({type(error).__name__}: {error}); diagnose again") from error

    def __repr__(self) -> str:
        found = f"{len(self.sites)} sites, {len(self.offenders)} offenders, severity {self.output.severity:.3g}"
        return f"Diagnosis({found}: {printable(f'{self.doubt} {self.heading}'.strip())})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the main finding, the sites, and a picture."""
        card: str = VIEWS["diagnosis_card"](self)
        return card

    def to_frame(self, library: Library | None = None) -> Any:
        """The sites as a `pandas.DataFrame`, or a `polars.DataFrame` where only that is installed; see `data_frame`.

        Args:
            library: "pandas" or "polars", where that is to be chosen.

        Raises:
            InputError: if neither is installed, or not the one that was asked for.
        """
        sites = self.sites
        columns: dict[str, list[Any]] = {
            "site": [found.site.key for found in sites],
            "verdict": [found.verdict for found in sites],
            "effect": [found.effect.value for found in sites],
            "effect_low": [found.effect.low for found in sites],
            "effect_high": [found.effect.high for found in sites],
            "share": [found.effect.share for found in sites],
            "lattice_share": [found.evidence.checkerboard_energy for found in sites],
            "jaggedness": [found.evidence.edge_jaggedness for found in sites],
            "verified": [found.verified for found in sites],
        }
        return data_frame(columns, library)

    def to_html(self) -> str:
        """The report as one self-contained page of at most 5 MB: pictures, what to do next, and the JSON."""
        page: str = VIEWS["page"](self)
        return page

    def plot(self) -> Figure:
        """Input, output crop, where the artifact is, and bars per site, as a matplotlib figure.

        Raises:
            InputError: if the diagnosis carries no example images.
        """
        figure: Figure = VIEWS["figure"](self)
        return figure

    def plot_maps(self, example: int = 0) -> Figure:
        """The artifact map of every site over one output, as a matplotlib figure.

        Raises:
            InputError: if there is no such example.
        """
        figure: Figure = VIEWS["maps"](self, example)
        return figure


def as_diagnosis(given: Diagnosis | str | Path) -> Diagnosis:
    """A diagnosis, or the one that a file holds; see `Diagnosis.load`."""
    return Diagnosis.load(given) if isinstance(given, (str, Path)) else given


def _site_of(data: dict[str, Any]) -> SiteDiagnosis:
    """A site as `SiteDiagnosis.to_dict` has it: its own fields stand beside what was found out."""
    site: SiteDiagnosis = record_of(SiteDiagnosis, {**data, "site": data})
    return site
