"""The planted suite's tables: from records of cases to what is published."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from statistics import mean
from typing import NamedTuple

from planted_cases import Plan
from planted_kinds import KINDS
from planted_peers import PEERS
from planted_records import DIAGNOSES, FAST, Record, Said, Scores, top
from planted_truth import CLEAR, Truth
from planted_wrappers import WRAPPERS, wrapper_of
from publish import markdown_table
from scipy.stats import spearmanr

from artifactlab.scoring.severity import VISIBLE

LARGE = 0.1
"""of a case's largest effect is what a second rank correlation leaves out: a tenth of what is seen, nobody repairs"""
GRAY = "seven gray nets, run alone"
"""the suite as it was first"""


class Asked(NamedTuple):
    """One diagnosis, and the truth on the same images."""

    plan: Plan
    truth: Truth
    said: Said


def each_diagnosis(records: Sequence[Record]) -> list[Asked]:
    """All diagnoses of all cases."""
    pairs = [(record, zip(record.truths, record.said, strict=True)) for record in records]
    return [Asked(record.plan, truth, said) for record, both in pairs for truth, said in both]


class Accuracy:
    """Top-1 accuracy over clear cases, and its mean over sites."""

    def __init__(self, records: Sequence[Record], scores: Callable[[Record], Scores], truth: int = 0) -> None:
        hits: dict[tuple[str, int], list[bool]] = defaultdict(list)
        for record in records:
            guilty = record.truths[truth].clear
            if guilty is not None:
                hits[record.plan.net, guilty].append(top(scores(record)) == guilty)
        self.cases = sum(map(len, hits.values()))
        self.sites = len(hits)
        self.accuracy = mean(chain(*hits.values())) if hits else 0.0
        self.balanced = mean(map(mean, hits.values())) if hits else 0.0


def rank_correlation(
    records: Sequence[Record], scores: Callable[[Record], Scores], least: float | None = None
) -> float:
    """Spearman's, over all planted sites of the cases that show; or those above a fraction of a case's largest effect.

    Effects of different cases are ranked together, so it asks for more than the order within each case.
    """
    pairs = []
    for record in records:
        truth = record.truths[0]
        if not truth.shows:
            continue
        largest, found = max(truth.effects.values()), scores(record)
        large = [site for site, effect in truth.effects.items() if least is None or effect > least * largest]
        pairs += [(truth.effects[site], found[site]) for site in large]
    if len(pairs) < 2:
        return 0.0
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def coverage(records: Sequence[Record], truth: int) -> tuple[float, int]:
    """How often the first diagnosis' intervals hold the true effect on images of set number `truth`, of how many.

    The one is in units of severity, the other an energy: what is compared are shares of the whole. Of cases that show.
    """
    inside = [
        record.said[0].holds(site, record.truths[truth].share(site))
        for record in records
        if record.truths[truth].shows
        for site in record.truths[truth].effects
    ]
    return (mean(inside) if inside else 0.0), len(inside)


def unchanged(records: Sequence[Record]) -> tuple[int, int]:
    """Cases whose two diagnoses name the same first offender, or both none; of how many."""
    first = [[said.offenders[:1] for said in record.said] for record in records]
    return sum(a == b for a, b in first), len(first)


def steady(record: Record) -> bool:
    """Whether the truth is the same on both sets of images: the first site, and whether anything shows."""
    return len({(truth.first if truth.shows else None, truth.shows) for truth in record.truths}) == 1


class Row(NamedTuple):
    """One claim of the table."""

    claim: str
    target: str
    measured: str
    reached: bool | None = None
    """None where nothing is aimed at"""

    def cells(self) -> list[str]:
        """As it is printed."""
        verdict = "" if self.reached is None else "reached" if self.reached else "**missed**"
        return [self.claim, self.target, self.measured, verdict]


def table(records: Sequence[Record]) -> str:
    """What was asked, and what was measured."""
    rows = [*_seen_rows(records), *_ranking_rows(records), *_innocence_rows(records), *_steady_rows(records)]
    return markdown_table(["claim", "target", "measured", ""], [row.cells() for row in rows])


def _seen_rows(records: Sequence[Record]) -> Iterator[Row]:
    asked = each_diagnosis(of_kind(records, "planted"))
    seen = [one for one in asked if one.truth.shows]
    hidden = sum(one.truth.hidden for one in asked)
    counts = f"{len(seen)} of {len(asked)}; {hidden} hidden"
    yield Row("sets of images on which what is planted shows (FLIP or ColorVideoVDP)", "", counts)
    told = mean(map(is_told, seen)) if seen else 0.0
    yield Row("... the output's artifact told there", ">= .95", f"{told:.1%}", told >= 0.95)


def _ranking_rows(records: Sequence[Record]) -> Iterator[Row]:
    planted = of_kind(records, "planted")
    ours, fresh = Accuracy(planted, our_scores), Accuracy(planted, our_scores, truth=1)
    named = Accuracy(planted, lambda record: record.said[0].named)
    everywhere, large = rank_correlation(planted, our_scores), rank_correlation(planted, our_scores, LARGE)
    (inside, count), (inside_fresh, _) = coverage(planted, 0), coverage(planted, 1)
    yield Row(f"top-1 on {ours.cases} clear cases", ">= .97", f"{ours.accuracy:.3f}", ours.accuracy >= 0.97)
    yield Row(f"... balanced over {ours.sites} sites", ">= .95", f"{ours.balanced:.3f}", ours.balanced >= 0.95)
    yield Row("... named as the first offender", "", f"{named.accuracy:.3f}")
    yield Row(f"... against the truth on other images ({fresh.cases})", "", f"{fresh.accuracy:.3f}")
    yield Row("rank correlation with the true effects", "", f"{everywhere:.3f}")
    claim = "... of those above a tenth of the case's largest"
    yield Row(claim, ">= .90", f"{large:.3f}", large >= 0.9)
    claim = f"90% intervals hold the true effect, both as shares of the whole ({count})"
    yield Row(claim, "85% to 95%", f"{inside:.1%}", 0.85 <= inside <= 0.95)
    yield Row("... the true effect on other images", "", f"{inside_fresh:.1%}")


def _innocence_rows(records: Sequence[Record]) -> Iterator[Row]:
    """Wherever what is planted, or a clean net's own replication, is hidden, naming anybody is wrong."""
    for claim, kind in (
        ("an offender named on clean nets", "clean"),
        ("... on compensated nets", "compensated"),
        ("... where what is planted is hidden", "planted"),
    ):
        innocent = [one.said for one in each_diagnosis(of_kind(records, kind)) if one.truth.hidden]
        wrong = sum(bool(said.offenders) for said in innocent)
        yield Row(claim, "<= 1%", f"{wrong} of {len(innocent)}", wrong <= 0.01 * len(innocent))
    # the sterner count: FLIP's and ColorVideoVDP's "most notice it" is four times what our severity of 1 is
    unseen = [one.said for one in each_diagnosis(of_kind(records, "planted")) if not one.truth.shows]
    wrong = sum(bool(said.offenders) for said in unseen)
    claim = "... where it does not show, hidden or not"
    yield Row(claim, "<= 1%", f"{wrong} of {len(unseen)}", wrong <= 0.01 * len(unseen))
    between = [one for one in each_diagnosis(of_kind(records, "planted")) if not one.truth.shows | one.truth.hidden]
    named = [one for one in between if one.said.offenders]
    right = sum(one.said.offenders[0] == one.truth.first for one in named)
    measured = f"{len(named)} of {len(between)}; the site with the largest effect in {right}"
    yield Row("... where it is neither hidden nor shows", "", measured)


def _steady_rows(records: Sequence[Record]) -> Iterator[Row]:
    same, pairs = unchanged([record for record in records if steady(record)])
    claim = "first offender, or none, unchanged on other images where the truth is"
    yield Row(claim, ">= .98", f"{same} of {pairs}", same >= 0.98 * pairs)
    same, pairs = unchanged(records)
    yield Row("... on any other images", "", f"{same} of {pairs}")


def of_kind(records: Sequence[Record], kind: str) -> list[Record]:
    """Planted, clean or compensated ones."""
    return [record for record in records if record.plan.kind == kind]


def our_scores(record: Record) -> Scores:
    """The first diagnosis."""
    return record.said[0].scores


def is_told(asked: Asked) -> bool:
    """Whether the output's artifact was told."""
    return asked.said.severity >= VISIBLE


def group_of(net: str) -> str:
    """Under which name a net is counted: the way in which it is run, or its kind."""
    return wrapper_of(net) or (net if any(net in kinds for kinds in KINDS.values()) else GRAY)


def by_group(records: Sequence[Record]) -> str:
    """The same for the nets of the first suite, for those run in each way of their own, and for each of other kinds."""
    rows = []
    for group in (GRAY, *WRAPPERS, *KINDS["development"]):
        chosen = [record for record in records if group_of(record.plan.net) == group]
        if not chosen:
            continue
        asked = each_diagnosis(chosen)
        seen = [one for one in asked if one.truth.shows and one.plan.kind == "planted"]
        innocent = [one for one in asked if one.truth.hidden]
        clean = [one for one in innocent if one.plan.kind != "planted"]
        ours = Accuracy(chosen, our_scores)
        named = (sum(bool(one.said.offenders) for one in several) for several in (innocent, clean))
        rows.append(
            [
                *(group, str(len(chosen)), f"{sum(map(is_told, seen))} of {len(seen)}"),
                *(f"{ours.accuracy:.3f} of {ours.cases}", f"{ours.balanced:.3f}"),
                *(f"{wrong} of {len(several)}" for wrong, several in zip(named, (innocent, clean), strict=True)),
            ]
        )
    header = ["nets", "cases", "told, of what shows", "top-1", "balanced", "offender named, where all is hidden"]
    return markdown_table([*header, "... with nothing planted, or compensated"], rows)


def peers(records: Sequence[Record]) -> str:
    """Everybody on the same cases."""
    planted = of_kind(records, "planted")
    methods: dict[str, Callable[[Record], Scores]] = {"**diagnose**": our_scores}
    for name in (FAST, *PEERS):
        methods[name] = lambda record, name=name: record.others[name]
    rows = []
    for name, scores in methods.items():
        found = Accuracy(planted, scores)
        correlations = (rank_correlation(planted, scores, least) for least in (None, LARGE))
        rows.append([name, *(f"{value:.3f}" for value in (found.accuracy, found.balanced, *correlations))])
    clear = [record for record in planted if record.truths[0].clear is not None]
    chance = mean(1 / len(record.said[0].effects) for record in clear) if clear else 0.0
    rows.append(["chance", *(f"{value:.3f}" for value in (chance, chance, 0.0, 0.0))])
    return markdown_table(["ranking by", "top-1", "balanced", "rank correlation", "... of large effects"], rows)


def text_of(split: str, records: Sequence[Record]) -> str:
    """Everything that is published."""
    kinds = Counter(record.plan.kind for record in records)
    return (
        f"{split.capitalize()} split: {len(records)} cases ({', '.join(f'{n} {k}' for k, n in kinds.items())}),"
        f" {DIAGNOSES} diagnoses each, on four images that come out at 128x128 (where padded, at 116x116)."
        f" A case is clear where it shows and the true first has at least {CLEAR:g} times the"
        " effect of the second.\n\n" + "\n\n".join((table(records), by_group(records), peers(records)))
    )
