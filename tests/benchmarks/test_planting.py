"""The planted suite's own machinery: what it plants is a defect, and what it puts back is the original."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks_are_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:  # the scripts' plain names are not for other tests
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.mark.parametrize("style", ["bilinear", "nearest", "expand", "transposed", "k3", "k2", "shuffle", "reshape"])
@torch.no_grad()
def test_an_upsampler_put_back_from_its_phases_is_the_same(style: str) -> None:
    from planted_nets import Upsampler
    from planting import phases_of, realised

    up = Upsampler(style, 5).eval()
    phases = phases_of(up)
    x = torch.rand(2, 5, 9, 7)
    for back in ("shuffle", "reshape") + (("transposed",) if style not in ("shuffle", "reshape") else ()):
        assert torch.allclose(realised(phases, back)(x), up(x), atol=1e-5), back


@torch.no_grad()
def test_taking_the_defect_out_gives_the_clean_output_back() -> None:
    from planted_cases import Case, Plan
    from planted_nets import trained
    from planting import DEFECTS, Seen, phases_of, upsampler

    base = trained("development", "autoencoder")
    x = torch.rand(1, 1, 64, 64)
    seen = Seen(torch.rand(1, 28, 16, 16), torch.rand(1, 28, 32, 32))
    for name, (defect, first, _) in DEFECTS.items():
        up = defect(phases_of(upsampler(base, 1)), seen, first, torch.Generator().manual_seed(0))
        case = Case(Plan("development", "planted", "autoencoder", "photos", 1, 0), base, {1: up})
        assert torch.equal(case.without(1)(x), base(x)), name
        assert not torch.allclose(case.model(x), base(x), atol=1e-4), name


@torch.no_grad()
def test_a_blur_hides_a_decoy_completely() -> None:
    from planted_nets import trained
    from planting import Seen, decoy, hide, upsampler, with_planted

    model = trained("development", "autoencoder")
    flat = torch.full((1, 1, 64, 64), 0.4)
    hide(model, 2, "blur", torch.Generator().manual_seed(0))
    clean = model(flat)
    seen = Seen(torch.rand(1, 20, 32, 32), torch.rand(1, 20, 64, 64))
    planted = with_planted(model, {2: decoy(upsampler(model, 2), seen, None, torch.Generator().manual_seed(0))})
    moved = (planted(flat) - clean)[..., 16:-16, 16:-16]
    phases = moved.view(1, 1, 16, 2, 16, 2).mean((2, 4))
    assert (phases - phases.mean()).abs().max() < 1e-3


WIRED = {
    "colour": [8, 4, 2],
    "windows": [4, 2, 2],
    "generator": [16, 8, 4, 2],
    "many": [8, 4] * 20 + [2],
    "latents": [8, 4, 2],
    "tokens": [8, 4, 2],
}
"""net -> the periods of its sites, as they follow from where its upsamplers stand"""


@pytest.mark.parametrize("split", ["development", "test"])
@pytest.mark.parametrize("net", WIRED)
@torch.no_grad()
def test_a_net_of_another_kind_gives_an_image_for_what_it_is_given(split: str, net: str) -> None:
    from planted_cases import Case, Plan
    from planted_nets import weights_path
    from planted_wrappers import network

    inputs = "codes" if net == "generator" else "scenes"
    case = Case(Plan(split, "clean", net, inputs, 0, 0), network(split, net))
    output = case.model(case.images(0))
    side, channels = (116 if net == "windows" else 128), (3 if net == "colour" else 1)
    assert output.shape == (4, channels, side, side)
    assert output.std() > 0.05, "a flat image has nothing to show"
    assert [case.periods[site] for site in range(len(case.base.ups))] == WIRED[net]
    assert case.period == (max(WIRED[net]),) * 2
    assert weights_path(split, net).stat().st_size < 300_000


@pytest.mark.parametrize(("shift", "changed"), [(0, {(0, 0)}), (4, {(0, 0), (0, 1), (1, 0), (1, 1)})])
@torch.no_grad()
def test_attention_reaches_to_the_end_of_its_window(shift: int, changed: set[tuple[int, int]]) -> None:
    from planted_kinds import WINDOW, WindowAttention

    torch.manual_seed(0)
    attention = WindowAttention(8, shift).eval()
    x = torch.rand(1, 3 * WINDOW, 3 * WINDOW, 8)
    other = x.clone()
    other[0, WINDOW - 2, WINDOW - 2] = torch.rand(8)  # where shifted, in a window that reaches into three more
    moved = (attention(other) - attention(x)).abs().amax((0, 3))
    tiles = moved.view(3, WINDOW, 3, WINDOW).amax((1, 3)) > 1e-6
    assert {(int(row), int(column)) for row, column in tiles.nonzero()} == changed


def test_a_lattice_in_one_color_is_a_third_of_one_in_all() -> None:
    import numpy as np
    from planted_truth import at_lattice, energy

    rng = np.random.default_rng(0)
    healthy = rng.uniform(0, 1, (32, 48, 3)).astype(np.float32)
    grid = np.zeros((32, 48), np.float32)
    grid[::4, ::4] = 0.1
    for channels in ([0], [0, 1, 2]):
        defective = healthy.copy()
        defective[..., channels] += grid[..., None]
        alone = np.square(at_lattice(grid, 4)).mean()
        assert energy([defective], [healthy], 4) == pytest.approx(alone * len(channels) / 3, rel=1e-4)


def test_the_first_nets_keep_their_cases_beside_new_ones() -> None:
    from planted_cases import plans

    alone, beside = plans("development", 2), plans("development", 2, 1)
    planted = [plan for plan in alone if plan.kind == "planted"]
    assert beside[: len(planted)] == planted
    assert {plan.net for plan in beside} > {plan.net for plan in alone} | set(WIRED)


def test_of_many_sites_other_ones_are_guilty_in_each_round() -> None:
    from planted_cases import plans

    guilty = [plan.guilty for plan in plans("test", 1, 5) if plan.net == "many" and plan.kind == "planted"]
    assert len(set(guilty)) == len(guilty) >= 10
    assert 40 in guilty, "the last site, which nothing follows"


def test_every_kind_of_mistake_is_listed_and_nothing_that_is_right() -> None:
    from planted_cases import Plan
    from planted_mistakes import mistakes
    from planted_records import Record, Said
    from planted_truth import Truth

    from artifactlab import Effect

    def said(severity: float, first: float, second: float, offenders: list[int], verdict: str = "") -> Said:
        effects = {
            0: Effect(first, None, None, None, "checkerboard"),
            1: Effect(second, None, None, None, "checkerboard"),
        }
        return Said(severity, effects, offenders, verdict)

    plan = Plan("development", "planted", "unet", "photos", 0, 7)
    seen, unseen = Truth({0: 4e-4, 1: 1e-5}, 5e-4, True, False), Truth({0: 1e-7}, 1e-7, False, True)
    between = Truth({0: 1e-5}, 1e-5, False, False)
    cases = {
        "accused": (unseen, said(3, 2, 0, [0])),
        "called clean": (seen, said(0.1, 0.1, 0, [], "No offender")),
        "cannot tell": (seen, said(0.1, 0.1, 0, [], "Cannot tell: more inputs")),
        "another first": (seen, said(5, 1, 3, [1])),
        "another named": (seen, said(5, 3, 1, [1, 0])),
        "nobody named": (seen, said(5, 3, 1, [])),
    }
    right = [(seen, said(5, 3, 1, [0])), (unseen, said(0.1, 0.1, 0, [])), (between, said(2, 2, 0, [0]))]
    truths, sayings = zip(*cases.values(), *right, strict=True)
    rows = mistakes([Record(plan, {0: "k3 s2"}, list(truths), list(sayings), {})]).splitlines()[2:]
    assert [row.split(" | ")[4] for row in rows] == list(cases)
    assert "0: 5.10/255" in rows[1], "an energy of 4e-4 is .02 rms"
