"""The planted suite's own machinery: what it plants is a defect, and what it puts back is the original."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


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
