"""A diagnosis under way: what is known after the inputs so far, to which more may be added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from artifactlab.attribution.measures import output_measures
from artifactlab.attribution.records import OutputMeasures, SiteDiagnosis
from artifactlab.attribution.repair.trials import Trials
from artifactlab.attribution.screening import Examined
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.survey import Survey
from artifactlab.attribution.until_sure import is_sure
from artifactlab.attribution.verdicts import adds_enough, explains_nearly_all, is_likely, judge
from artifactlab.models.calls import Call, as_calls
from artifactlab.scoring.severity import Severity


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is known after so many inputs. It stays what it is when more are added to the trials it was read off."""

    calls: tuple[Call, ...]
    """The inputs."""
    outputs: tuple[Tensor, ...]
    """What the model makes of each."""
    severities: tuple[Severity, ...]
    """What each of the outputs shows."""
    severity: Severity
    """What all outputs together show."""
    measures: OutputMeasures
    """The same as numbers."""
    examined: Examined
    """What repairing the sites does."""
    sites: tuple[SiteDiagnosis, ...]
    """All sites by rank."""

    @property
    def is_sure(self) -> bool:
        """Whether more inputs would not change the verdict."""
        return is_sure(self.sites, self.measures.severity, self.severity.content_wanted)


class Investigation:
    """Judges sites by all inputs so far.

    Args:
        survey: runs the model on an input as it is.
        trials: runs it with sites repaired. It has the same inputs as the survey.
        sites: the sites that are judged.
        examine: finds the effects of the sites.
        by_estimates: whether first-order estimates accuse, as nothing is repaired.
    """

    def __init__(
        self,
        survey: Survey,
        trials: Trials,
        sites: Sequence[Site],
        examine: Callable[[], Examined],
        by_estimates: bool,
    ) -> None:
        self._survey, self._trials, self._sites = survey, trials, sites
        self._examine, self._by_estimates = examine, by_estimates
        self.judgement = self._judged()

    def add(self, batch: list[Any]) -> None:
        """Add more inputs and judge anew; the old judgement stays where the time runs out before that is done."""
        # one by one: two that were drawn together are no pair of an input and its target
        for call in [call for item in batch for call in as_calls([item])]:
            self._trials.add(call, self._survey.add(call))
        self.judgement = self._judged()

    def _judged(self) -> Judgement:
        trials, examined = self._trials, self._examine()
        measures = output_measures(trials.before, trials.outputs, trials.period, trials.data_range)
        in_doubt = bool(self._survey.unseen) and not explains_nearly_all(examined.joint, measures.severity)
        if in_doubt:
            examined = replace(examined, joint=())
        evidence = {captured.site.key: captured.evidence for captured in self._survey.sites}
        return Judgement(
            calls=tuple(trials.calls),
            outputs=tuple(trials.outputs),
            severities=tuple(trials.severities),
            severity=trials.before,
            measures=measures,
            examined=examined,
            sites=judge_sites(self._sites, evidence, examined, measures.severity, self._by_estimates, in_doubt),
        )


def judge_sites(
    sites: Sequence[Site],
    evidence: Mapping[str, Evidence],
    examined: Examined,
    severity: float,
    by_estimates: bool,
    in_doubt: bool = False,
) -> tuple[SiteDiagnosis, ...]:
    """The sites by rank; offenders are those repaired together or, where estimates accuse, each that helps enough.

    None is where all is `in_doubt`, as growth that was not seen may have drawn what shows. Where nobody is guilty, the
    first is suspect if its repair takes most of what shows.
    """
    effects = examined.effects
    guilty = {step.key for step in examined.joint}
    if by_estimates:
        guilty = {site.key for site in sites if adds_enough(effects[site], severity, severity)}
    guilty -= {site.key for site in sites if site.opaque or in_doubt}
    nobody = not guilty and not in_doubt and examined.accuses
    judged = []
    for rank, site in enumerate(sorted(sites, key=lambda site: -effects[site].value), start=1):
        repaired = site in examined.alone
        estimate = not (repaired or by_estimates)
        likely = nobody and rank == 1 and not (estimate or site.opaque) and is_likely(effects[site], severity)
        verdict = judge(site, evidence[site.key], effects[site], severity, site.key in guilty, estimate, likely)
        order = sites.index(site) + 1
        judged.append(SiteDiagnosis(site, evidence[site.key], effects[site], verdict, rank, order, repaired))
    return tuple(judged)
