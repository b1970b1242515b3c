"""The planted suite: does `diagnose` name the layer that really causes it? `python benchmarks/planted.py`.

Defects are planted into trained decoders. The truth is what really taking each one out again changes in the output.
Development and test share no network, no weights, no photo and no seed.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from multiprocessing import get_context
from statistics import mean
from typing import Any

import torch
from planted_cases import Case, Plan, make, plans, severity_of
from planted_peers import PEERS
from publish import arguments, markdown_table, publish
from scipy.stats import spearmanr

import artifactlab
from artifactlab.severity import VISIBLE

ROUNDS = {"development": 8, "test": 9}
"""cases per site"""
CLEAR = 2.0
"""how far the true first is ahead of the second where the offender is clear"""
DIAGNOSES = 2
"""of each case, on images of their own"""

Scores = dict[int, float]
"""site -> number"""


def run(plan: Plan) -> dict[str, Any]:
    """Everything that the tables need to know about one case."""
    torch.set_num_threads(1)
    case = make(plan)
    numbers, site_of = range(DIAGNOSES), sites_by_key(case)
    record: dict[str, Any] = {
        "plan": plan,
        "names": case.names,
        "truths": [true_effects(case, number) for number in numbers],
        "diagnoses": [diagnosed(case, number, site_of) for number in numbers],
    }
    if plan.kind == "planted":
        record["fast"] = diagnosed(case, 0, site_of, fast=True)
        record["peers"] = {name: peer(case, case.images(0)) for name, peer in PEERS.items()}
    return record


def true_effects(case: Case, number: int) -> dict[str, Any]:
    """The output's severity, by how much it falls when each planted defect is taken out, and without any of them."""
    images = case.images(number)
    severity, clean = severity_of(case.model, images), severity_of(case.base, images)
    effects = {site: severity - severity_of(case.without(site), images) for site in case.planted}
    return {"severity": severity, "clean": clean, "effects": effects}


def sites_by_key(case: Case) -> dict[str, int]:
    """Which site each of diagnose's keys is: both are in running order."""
    with artifactlab.capture(case.model) as cap, torch.no_grad():
        case.model(case.images(0)[:1])
    return {found.site.key: case.base.order[k] for k, found in enumerate(cap.sites)}


def diagnosed(case: Case, number: int, site_of: dict[str, int], fast: bool = False) -> dict[str, Any]:
    """What `diagnose` says of one set of inputs, by site."""
    diagnosis = artifactlab.diagnose(case.model, case.images(number), data_range=1.0, fast=fast)
    return {
        "severity": diagnosis.output["severity"],
        "effects": {site_of[s.site.key]: s.effect for s in diagnosis.sites},
        "verdicts": {site_of[s.site.key]: s.verdict for s in diagnosis.sites},
        "offenders": [site_of[step.key] for step in diagnosis.joint],
    }


def clear_offender(truth: dict[str, Any]) -> int | None:
    """The site that causes what shows, and at least twice as much of it as any other; None where no one does.

    What the net's output shows with nothing planted counts as another's.
    """
    ranked = sorted(truth["effects"].items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < VISIBLE:
        return None
    rivals = [truth["clean"], *(effect for _, effect in ranked[1:])]
    return ranked[0][0] if ranked[0][1] >= CLEAR * max(rivals) else None


def top(scores: Scores) -> int:
    """The site with the highest score."""
    return max(scores, key=lambda site: scores[site])


def values(diagnosis: dict[str, Any]) -> Scores:
    """A diagnosis as scores."""
    return {site: effect.value for site, effect in diagnosis["effects"].items()}


class Accuracy:
    """Top-1 accuracy over clear cases, and its mean over sites."""

    def __init__(self, records: Sequence[dict[str, Any]], scores: Callable[[dict[str, Any]], Scores], truth: int = 0):
        hits = defaultdict(list)
        for record in records:
            guilty = clear_offender(record["truths"][truth])
            if guilty is not None:
                hits[record["plan"].net, guilty].append(top(scores(record)) == guilty)
        self.cases = sum(map(len, hits.values()))
        self.sites = len(hits)
        self.accuracy = mean(chain(*hits.values()))
        self.balanced = mean(map(mean, hits.values()))
        self.worst = min(hits, key=lambda key: mean(hits[key]))
        self.worst_accuracy = mean(hits[self.worst])


def rank_correlation(records: Sequence[dict[str, Any]], scores: Callable[[dict[str, Any]], Scores]) -> float:
    """Spearman's, over all planted sites of all cases."""
    pairs = [
        (effect, scores(record)[site]) for record in records for site, effect in record["truths"][0]["effects"].items()
    ]
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def coverage(records: Sequence[dict[str, Any]], truth: int) -> tuple[float, int]:
    """How often the first diagnosis' intervals hold the true effect on images of set number `truth`, of how many."""
    inside = [
        record["diagnoses"][0]["effects"][site].low <= effect <= record["diagnoses"][0]["effects"][site].high
        for record in records
        for site, effect in record["truths"][truth]["effects"].items()
    ]
    return mean(inside), len(inside)


def unchanged(records: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Cases whose two diagnoses name the same first offender, or both none; of how many."""
    first = [[d["offenders"][:1] for d in record["diagnoses"]] for record in records]
    return sum(a == b for a, b in first), len(first)


def steady(record: dict[str, Any]) -> bool:
    """Whether the truth is the same on both sets of images: the first site, and whether anything shows."""
    first = [top(truth["effects"]) if truth["effects"] else None for truth in record["truths"]]
    shows = [truth["severity"] >= VISIBLE for truth in record["truths"]]
    return len(set(first)) == len(set(shows)) == 1


def accused(records: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Diagnoses that name an offender, of how many."""
    found = [bool(d["offenders"]) for record in records for d in record["diagnoses"]]
    return sum(found), len(found)


def table(records: Sequence[dict[str, Any]]) -> str:
    """What was asked, and what was measured."""
    planted, clean, compensated = (
        [record for record in records if record["plan"].kind == kind] for kind in ("planted", "clean", "compensated")
    )
    of_clean, of_compensated, of_unseen = map(_innocent, (clean, compensated, planted))
    ours = Accuracy(planted, lambda record: values(record["diagnoses"][0]))
    fresh = Accuracy(planted, lambda record: values(record["diagnoses"][0]), truth=1)
    named = Accuracy(planted, lambda record: _named(record["diagnoses"][0]))
    correlation = rank_correlation(planted, lambda record: values(record["diagnoses"][0]))
    (inside, count), (inside_fresh, _) = coverage(planted, 0), coverage(planted, 1)
    same, pairs = unchanged(records)
    same_steady, pairs_steady = unchanged([record for record in records if steady(record)])
    rows = [
        (f"top-1 on {ours.cases} clear cases", ">= .98", _number(ours.accuracy), ours.accuracy >= 0.98),
        (f"... balanced over {ours.sites} sites", ">= .97", _number(ours.balanced), ours.balanced >= 0.97),
        ("... named as the first offender", "", _number(named.accuracy), None),
        (f"... against the truth on other images ({fresh.cases})", "", _number(fresh.accuracy), None),
        ("rank correlation with the true effects", ">= .90", _number(correlation), correlation >= 0.9),
        _innocence("no offender on clean nets", of_clean, 0.98),
        _innocence("no offender on compensated nets", of_compensated, 0.98),
        _innocence("no offender where what is planted does not show", of_unseen, None),
        (f"90% intervals hold the true effect ({count})", "85% to 95%", f"{inside:.1%}", 0.85 <= inside <= 0.95),
        ("... the true effect on other images", "", f"{inside_fresh:.1%}", None),
        (
            "first offender, or none, unchanged on other images and crops",
            ">= .97",
            f"{same} of {pairs}",
            same >= 0.97 * pairs,
        ),
        ("... where the truth, too, is unchanged", "", f"{same_steady} of {pairs_steady}", None),
    ]
    shown = [(claim, target, figure, _verdict(reached)) for claim, target, figure, reached in rows]
    return markdown_table(["claim", "target", "measured", ""], shown)


def _named(diagnosis: dict[str, Any]) -> Scores:
    """The first offender; nobody where none is named."""
    first = diagnosis["offenders"][:1]
    return {-1: 0.5, **{site: float(site in first) for site in diagnosis["effects"]}}


def _innocent(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose output shows nothing, on either set of images."""
    return [record for record in records if all(truth["severity"] < VISIBLE for truth in record["truths"])]


def _innocence(
    claim: str, records: Sequence[dict[str, Any]], target: float | None
) -> tuple[str, str, str, bool | None]:
    wrong, count = accused(records)
    rate = 1 - wrong / max(1, count)
    return (
        claim,
        f">= {target:.2f}".replace("0.", ".") if target else "",
        f"{count - wrong} of {count}",
        (None if target is None else rate >= target),
    )


def _number(value: float) -> str:
    return f"{value:.3f}"


def _verdict(reached: bool | None) -> str:
    return "" if reached is None else "reached" if reached else "**missed**"


def peers(records: Sequence[dict[str, Any]]) -> str:
    """Everybody on the same cases."""
    planted = [record for record in records if record["plan"].kind == "planted"]
    methods: dict[str, Callable[[dict[str, Any]], Scores]] = {
        "**diagnose**": lambda record: values(record["diagnoses"][0]),
        "**diagnose, fast**": lambda record: values(record["fast"]),
        **{name: lambda record, name=name: record["peers"][name] for name in PEERS},
    }
    rows = []
    for name, scores in methods.items():
        found = Accuracy(planted, scores)
        rows.append((name, *map(_number, (found.accuracy, found.balanced, rank_correlation(planted, scores)))))
    clear = [record for record in planted if clear_offender(record["truths"][0]) is not None]
    chance = mean(1 / len(record["diagnoses"][0]["effects"]) for record in clear)
    rows.append(("chance", *map(_number, (chance, chance, 0.0))))
    return markdown_table(["ranking by", "top-1", "balanced", "rank correlation"], rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--split", choices=("development", "test"), default="test")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth case; not for the README")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start = time.perf_counter()
    chosen = plans(options.split, ROUNDS[options.split])[:: options.every]
    with get_context("spawn").Pool(options.workers) as processes:
        records = list(processes.imap(run, chosen, chunksize=4))
    kinds = defaultdict(int)
    for plan in chosen:
        kinds[plan.kind] += 1
    minutes = (time.perf_counter() - start) / 60
    text = (
        f"{options.split.capitalize()} split: {len(chosen)} cases ({', '.join(f'{n} {k}' for k, n in kinds.items())}),"
        f" {DIAGNOSES} diagnoses each, on four images of 128x128; {minutes:.0f} minutes.\n\n"
    )
    publish("planted", text + table(records) + "\n\n" + peers(records), options.readme)


if __name__ == "__main__":
    main()
