"""A transposed convolution with a larger kernel: the same layer, with room for what draws no lattice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from artifactlab.errors import FixError, InputError
from artifactlab.fix import replace_upsampler, save_fixed
from artifactlab.fix.weights import install_from
from artifactlab.lint import lint
from artifactlab.lint.model_copy import full_copy

CASES = {
    "k3 s2": ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, (6, 6), (2, 2)),
    "k3 s2, a row less": ({"kernel_size": 3, "stride": 2, "padding": 1}, (8, 8), (4, 4)),
    "k2 s2": ({"kernel_size": 2, "stride": 2}, (6, 6), (2, 2)),
    "k5 s3": ({"kernel_size": 5, "stride": 3, "padding": 1}, (9, 9), (3, 3)),
    "k4 s4, in groups": ({"kernel_size": 4, "stride": 4, "groups": 2}, (12, 12), (4, 4)),
    "k3 s(1, 2)": ({"kernel_size": 3, "stride": (1, 2), "padding": 1, "output_padding": (0, 1)}, (3, 6), (1, 2)),
}


def net(**options: object) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 4, **options), nn.Conv2d(4, 3, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES)
def test_the_larger_kernel_holds_the_closed_form_of_the_new_layer_in_the_same_sizes(case: str) -> None:
    options, kernel, padding = CASES[case]
    model = net(**options)
    changed, replaced = full_copy(model), full_copy(model)
    swap = replace_upsampler(changed, "1", "padding")
    replace_upsampler(replaced, "1", "interpolate_conv")
    up = changed[1]
    assert type(up) is nn.ConvTranspose2d
    assert (up.kernel_size, up.padding, up.groups) == (kernel, padding, model[1].groups)
    assert changed.state_dict().keys() == model.state_dict().keys()
    x = torch.rand(1, 3, 15, 14)
    with torch.no_grad():
        before, given, expected = (each(x) for each in (model, changed, replaced))
    assert given.shape == before.shape
    if model[1].groups == 1:
        border = 4 * max(model[1].stride)
        inside = (..., slice(border, -border), slice(border, -border))
        torch.testing.assert_close(given[inside], expected[inside], rtol=1e-4, atol=1e-5)
    assert swap.parameters[1] > swap.parameters[0]


def test_lint_finds_nothing_uneven_any_more() -> None:
    model = net(**CASES["k3 s2"][0])
    assert "uneven-overlap" in {found.rule for found in lint(model)}
    replace_upsampler(model, "1", "padding")
    assert {found.rule for found in lint(model, trained=True)} <= {"border"}


def test_it_loads_again_from_the_file_that_it_was_saved_in(tmp_path: Path) -> None:
    model = net(**CASES["k3 s2"][0])
    fresh = full_copy(model)
    swap = replace_upsampler(model, "1", "padding", kernel_size=4)
    assert (model[1].kernel_size, model[1].padding) == ((4, 4), (1, 1))
    save_fixed(tmp_path / "fixed.safetensors", model, [swap.replacement])
    install_from(fresh, tmp_path / "fixed.safetensors")
    fresh.load_state_dict(model.state_dict())
    x = torch.rand(1, 3, 9, 9)
    assert torch.equal(fresh(x), model(x))


@pytest.mark.parametrize(
    ("model", "site", "options", "kind", "message"),
    [
        (net(kernel_size=6, stride=2, padding=2), "1", {}, FixError, r"\(6, 6\), is large enough; use --with weights"),
        (net(kernel_size=3, stride=2), "1", {"kernel_size": 5}, InputError, "5 is no multiple of the stride 2"),
        (net(kernel_size=3, stride=2), "1", {"wings": 2}, InputError, "takes kernel_size alone, got wings"),
        (net(kernel_size=3, stride=2, dilation=2, padding=1), "1", {}, FixError, "is dilated"),
        (
            nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)),
            "1",
            {},
            FixError,
            "no transposed convolution, whose kernel could be padded; --with weights",
        ),
    ],
)
def test_where_nothing_can_be_padded_it_says_what_to_type(
    model: nn.Module, site: str, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    before = str(model)
    with pytest.raises(kind, match=message):
        replace_upsampler(model, site, "padding", **options)
    assert str(model) == before
