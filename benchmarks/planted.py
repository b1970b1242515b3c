"""The planted suite: does `diagnose` name the layer that really causes it? `python benchmarks/planted.py`.

Defects are planted into trained decoders. The truth is what really taking each one out again changes in the output, in
energy; whether it shows is for FLIP and ColorVideoVDP to say. No measure of artifactlab has a say in either.
Development and test share no network, no weights, no photo and no seed.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import torch
from planted_cases import Case, Plan, changed, make, plans
from planted_mistakes import mistakes
from planted_peers import PEERS
from planted_records import DIAGNOSES, FAST, NO_SITE, Record, Said, Scores
from planted_tables import text_of
from planted_truth import truth_of
from publish import arguments, publish
from torch import Tensor

import artifactlab

ROUNDS = {"development": 8, "test": 9}
"""cases per site"""
OTHER_ROUNDS = {"development": 4, "test": 5}
"""the same, of the nets that are run in a way of their own, and of those of other kinds"""
INSTALL = (
    "flip-evaluator or cvvdp is missing: this suite takes from two published models of seeing which planted defects"
    " show. Run it in an environment of its own: make planted"
)


def run(plan: Plan) -> Record:
    """One case, from planting to what everybody says of it."""
    torch.set_num_threads(1)
    case = make(plan)
    site_of = sites_by_key(case)
    others: dict[str, Scores] = {}
    if plan.kind == "planted":
        others = {name: peer(case, case.images(0)) for name, peer in PEERS.items()}
        others[FAST] = diagnosed(case, 0, site_of, fast=True).scores
    numbers = range(DIAGNOSES)
    truths = [truth_of(case, number) for number in numbers]
    return Record(plan, case.names, truths, [diagnosed(case, number, site_of) for number in numbers], others)


def sites_by_key(case: Case) -> dict[str, int]:
    """Which site each call is that `capture` lists: when an upsampler has run, the last one is its own."""
    found: dict[str, int] = {}

    def note(site: int, x: Tensor, y: Tensor) -> Tensor:
        found[cap.sites[-1].site.key] = site
        return y

    with changed(case.model, note), artifactlab.capture(case.model) as cap, torch.no_grad():
        case.model(case.images(0)[:1])
    return found


def diagnosed(case: Case, number: int, site_of: Mapping[str, int], fast: bool = False) -> Said:
    """What `diagnose` says of one set of inputs; a layer is named after the first of its calls."""
    diagnosis = artifactlab.diagnose(case.model, case.images(number), data_range=1.0, fast=fast)
    effects: dict[int, artifactlab.Effect] = {}
    for found in diagnosis.sites:  # where calls of a layer are not taken for one, the largest effect counts
        effects.setdefault(site_of.get(found.site.key, NO_SITE), found.effect)
    offenders = [site_of.get(step.key, NO_SITE) for step in diagnosis.joint]
    return Said(diagnosis.output.severity, effects, offenders, diagnosis.verdict)


def kept_records(chosen: Sequence[Plan], workers: int, keep: Path | None) -> list[Record]:
    """The records of all cases, in order; those that `keep` holds already are not run again."""
    known: dict[Plan, Record] = {}
    if keep and keep.exists():  # this script's own file
        with keep.open("rb") as file, suppress(EOFError):
            while True:
                record = pickle.load(file)
                known[record.plan] = record
    missing = [plan for plan in chosen if plan not in known]
    with get_context("spawn").Pool(workers) as processes:
        for record in processes.imap_unordered(run, missing):
            known[record.plan] = record
            if keep:
                with keep.open("ab") as file:
                    pickle.dump(record, file)
    return [known[plan] for plan in chosen]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--split", choices=("development", "test"), default="test")
    parser.add_argument("--only", nargs="+", metavar="NET", help="names such as unet, 'padded unet' or tokens")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth case; not to be published")
    parser.add_argument("--mistakes", action="store_true", help="list every verdict that is wrong, with what is true")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="note each case there, and go on where it ends")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if not all(map(importlib.util.find_spec, ("flip_evaluator", "pycvvdp"))):
        raise SystemExit(INSTALL)
    chosen = plans(options.split, ROUNDS[options.split], OTHER_ROUNDS[options.split])
    if options.only:
        if unknown := set(options.only) - {plan.net for plan in chosen}:
            known = ", ".join(dict.fromkeys(plan.net for plan in chosen))
            raise SystemExit(f"no net of the {options.split} split is called {', '.join(unknown)}; there are {known}")
        chosen = [plan for plan in chosen if plan.net in options.only]
    if options.publish and (options.only or options.every > 1):
        raise SystemExit("the published table has all cases: leave out --only and --every")
    chosen = chosen[:: options.every]
    records = kept_records(chosen, options.workers, options.keep)
    publish("planted", text_of(options.split, records), options.publish)
    if options.mistakes:
        print(mistakes(records))


if __name__ == "__main__":
    main()
