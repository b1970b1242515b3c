"""Stair-steps are told from everything that is smooth: as they are, blurred, and after a trained net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from degradations import FACTORS, JPEG, SMOOTH, Degradation, blur, nearest, then
from validity_content import Content, Split
from validity_net import denoised
from validity_readings import Array, Row, axes, hardest, jaggedness, worst_pair

JPEG_FACTORS = (2, 4, 8)
"""whose lattices JPEG's own blocks of 8x8 lie on, so that JPEG is counted apart for them"""
BETWEEN = (Fraction(3, 2), Fraction(5, 2))
"""factors that give no lattice of whole pixels"""
OTHER_SIDES = {128: 2, 256: 2, 512: 1}
"""sides of crops -> crops per photo"""
FEWER = ("clean", "bilinear x2", "bicubic x2", "bicubic x4", "bicubic x8", "Lanczos x3", "blur 1.5", "noise 0.05")
FEWER += ("halo 2", "JPEG 30", "JPEG 90")
"""families for the other sides, and for both sides of the net"""
AFTER_NET = {f"{name}, net": then(SMOOTH[name], denoised) for name in FEWER}


def steps_are_told(split: Split) -> Iterator[Row]:
    """Replication against every smooth family, as it is."""
    for content in (split.photos, split.rendered):
        positives = {factor: nearest(factor) for factor in FACTORS}
        yield from _rows(content, "nearest", positives, SMOOTH, 0.99)
        yield _between(content)
    for side, each in OTHER_SIDES.items():
        content = split.photo_crops(side, each)
        families = {name: SMOOTH[name] for name in FEWER}
        clean = content.read_all([jaggedness()], families)[jaggedness()]
        scores = {f: hardest(content.read(jaggedness(), nearest(f)), _without_jpeg(clean)) for f in FACTORS}
        claim = f"nearest from {len(families)} families, {len(content.images)} photo crops of {side}, any period"
        yield _row(claim, scores, 0.99)


def filtered_steps_are_told(split: Split) -> Iterator[Row]:
    """The same after a blur of a quarter of the factor, and after a net; the net is on either side, or on one."""
    for content in (split.photos, split.rendered):
        blurred = {factor: then(nearest(factor), blur(factor / 4)) for factor in FACTORS}
        yield from _rows(content, "nearest, Gaussian of a quarter of the factor", blurred, SMOOTH, 0.97)
        through = {factor: then(nearest(factor), denoised) for factor in FACTORS}
        yield from _rows(content, "nearest, trained net", through, SMOOTH | AFTER_NET, 0.97)


def _rows(
    content: Content, what: str, positives: Mapping[int, Degradation], families: Mapping[str, Degradation], least: float
) -> Iterator[Row]:
    """For any period and for the period given: one line, and one for JPEG at its own period."""
    clean = content.read_all([jaggedness(), *(jaggedness(factor) for factor in FACTORS)], families)
    for mode, measure_of in (("any period", lambda factor: jaggedness()), ("period given", jaggedness)):
        scores, apart = {}, {}
        for factor in FACTORS:
            positive, negative = content.read(measure_of(factor), positives[factor]), clean[measure_of(factor)]
            # where any period is looked for, JPEG is always read at its own
            own = factor in JPEG_FACTORS or mode == "any period"
            scores[factor] = hardest(positive, _without_jpeg(negative) if own else negative)
            if own:
                apart[factor] = hardest(positive, {name: negative[name] for name in negative if _is_jpeg(name)})
        yield _row(f"{what}, from smooth, {content.name}, {mode}", scores, least)
        yield _row("... from JPEG at its own period", apart, None)


def _between(content: Content) -> Row:
    """Factors that are no whole number, by the better of two measures."""
    measures = {"axis excess": axes(), "jaggedness": jaggedness()}
    clean = content.read_all(measures.values(), SMOOTH)
    scores = {}
    for factor in BETWEEN:
        found = {
            name: hardest(content.read(measure, nearest(factor)), clean[measure]) for name, measure in measures.items()
        }
        name = max(found, key=lambda measure: found[measure][0])
        scores[float(factor)] = found[name][0], f"{found[name][1]}; {name}"
    return _row(f"nearest, from smooth, {content.name}, no whole factor", scores, 0.99)


def _without_jpeg(negative: Mapping[str, Array]) -> dict[str, Array]:
    """All other families."""
    return {name: read for name, read in negative.items() if not _is_jpeg(name)}


def _is_jpeg(name: str) -> bool:
    return name.removesuffix(", net") in JPEG


def _row(claim: str, scores: Mapping[float, tuple[float, str]], least: float | None) -> Row:
    """The worst pair of every factor."""
    measured = ", ".join(f"x{factor:g} {worst_pair(score, name)}" for factor, (score, name) in scores.items())
    reached = None if least is None else min(score for score, _ in scores.values()) >= least
    return Row(claim, "" if least is None else f"AUC >= {least:g} each pair", measured, reached)
