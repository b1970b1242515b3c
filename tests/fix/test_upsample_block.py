"""The decoder level: its pipeline, its parts, and what it refuses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample import (
    MODES,
    FiLM,
    Fusion,
    LearnableInterpolationUpsample,
    PixelShuffleUpBlock,
    ResSkipBlock,
    SkipAttention,
    make_activation,
    make_norm,
)

Block = LearnableInterpolationUpsample
FUSIONS = ["concat", "add", "gated", "none"]
every_mode = pytest.mark.parametrize("mode", MODES)
every_fusion = pytest.mark.parametrize("fusion", FUSIONS)


def full_block(mode: str = "interpolate_conv", **options: object) -> LearnableInterpolationUpsample:
    everything = {"res_skip": True, "norm": "group", "film_dim": 2, "attention": True}
    return Block(4, 3, 5, mode, **{**everything, **options})


def full_inputs(size: tuple[int, int] = (4, 5), scale: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    h, w = size
    return torch.rand(2, 4, h, w), torch.rand(2, 5, scale * h, scale * w), torch.rand(2, 2)


@every_mode
@pytest.mark.parametrize("scale", [2, 3])
def test_every_mode_gives_the_declared_shape_with_everything_on(mode: str, scale: int) -> None:
    assert full_block(mode, scale=scale)(*full_inputs(scale=scale)).shape == (2, 3, 4 * scale, 5 * scale)


def test_the_pipeline_runs_in_the_order_it_is_named() -> None:
    block, (x, skip, cond) = full_block(), full_inputs()
    nn.init.normal_(block.film.affine.weight)
    y = block.fusion(block.up(x), block.attention(skip, x))
    expected = block.refine(F.relu(block.film(block.norm(y), cond)))
    assert torch.equal(block(x, skip, cond), expected)


def test_in_mode_gated_the_projected_skip_goes_to_the_gate() -> None:
    block, x, skip = Block(4, 3, 5, "gated", activation=None), torch.rand(1, 4, 4, 5), torch.rand(1, 5, 8, 10)
    assert torch.equal(block(x, skip), block.up(x, block.project(skip)))
    assert Block(4, 3, 3, "gated").project is None


def test_without_options_a_block_is_its_upsampler() -> None:
    x = torch.rand(1, 4, 4, 5)
    for nothing in (None, "none"):
        block = Block(4, 3, activation=nothing)
        assert torch.equal(block(x), block.up(x))


def test_mode_meta_takes_a_scale_that_is_no_integer() -> None:
    assert Block(4, 3, mode="meta", scale=1.5)(torch.rand(1, 4, 4, 5)).shape == (1, 3, 6, 7)


@every_mode
def test_constants_stay_constant_at_first_borders_included(mode: str) -> None:
    block = full_block(mode)
    x, skip, cond = (torch.full_like(value, 0.7) for value in full_inputs())
    y = block(x, skip, cond)
    assert (y - y[..., :1, :1]).abs().max() < 1e-5


@every_mode
def test_a_block_is_exported_compiled_and_loaded_with_the_same_output(mode: str) -> None:
    torch._dynamo.reset()
    block, again, args = full_block(mode).eval(), full_block(mode).eval(), full_inputs()
    expected = block(*args)
    if mode in ("gated", "subpixel"):  # the others differ in `up` alone, which is exported and compiled elsewhere
        assert torch.allclose(torch.export.export(block, args).module()(*args), expected, atol=1e-6)
        assert torch.allclose(torch.compile(block, fullgraph=True, backend="eager")(*args), expected, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert block(*args).isfinite().all()
    again.load_state_dict(block.state_dict(), strict=True)
    assert torch.equal(again(*args), expected)


@every_fusion
def test_gradients_reach_every_weight(fusion: str) -> None:
    block = full_block(fusion=fusion, attention=fusion != "none")
    block(*full_inputs()).square().mean().backward()
    assert not [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()]


@every_fusion
@pytest.mark.parametrize("skip_channels", [3, 5])
def test_fusions_are_what_their_names_say(fusion: str, skip_channels: int) -> None:
    fuse, x, skip = Fusion(3, skip_channels, fusion), torch.rand(2, 3, 4, 4), torch.rand(2, skip_channels, 4, 4)
    s = skip
    if skip_channels != 3 and fusion != "none":
        s = torch.einsum("oi,nihw->nohw", fuse.project.weight[:, :, 0, 0], skip) + fuse.project.bias[:, None, None]
    expected = {"none": lambda: x, "add": lambda: x + s}
    if fusion == "concat":
        padded = F.pad(torch.cat([x, s], 1), [1] * 4, mode="replicate")
        expected["concat"] = lambda: F.conv2d(padded, fuse.mix.weight, fuse.mix.bias)
    if fusion == "gated":
        gate = torch.einsum("oi,nihw->nohw", fuse.mix.weight[:, :, 0, 0], torch.cat([x, s], 1))
        gate = 1 / (1 + torch.exp(-gate - fuse.mix.bias[:, None, None]))
        expected["gated"] = lambda: gate * x + (1 - gate) * s
    assert torch.allclose(fuse(x, skip), expected[fusion](), atol=1e-6)


def test_a_skip_that_is_off_by_a_row_or_column_is_cropped_or_extended_at_its_end() -> None:
    fuse, x, skip = Fusion(1, 1, "add"), torch.zeros(1, 1, 2, 3), torch.tensor([[[[1.0, 2.0], [3, 4], [5, 6]]]])
    assert fuse(x, skip).tolist() == [[[[1, 2, 2], [3, 4, 4]]]]
    for height, width in ((4, 3), (2, 5), (0, 3)):
        with pytest.raises(InputError, match=f"skip is {height}x{width} where the upsampled features are 2x3"):
            fuse(x, torch.zeros(1, 1, height, width))


def test_film_scales_and_shifts_by_what_the_condition_says() -> None:
    film, x = FiLM(1, 2), torch.rand(1, 2, 3, 3)
    with torch.no_grad():
        film.affine.weight.copy_(torch.tensor([[1.0], [2], [3], [4]]))
    y = film(x, torch.tensor([[0.5]]))
    assert torch.allclose(y, x * torch.tensor([1.5, 2])[:, None, None] + torch.tensor([1.5, 2])[:, None, None])
    for wrong in (torch.rand(1, 2), torch.rand(2, 1), torch.rand(1)):
        with pytest.raises(InputError, match=r"cond has shape .* expected \(1, 1\)"):
            film(x, wrong)


def test_attention_multiplies_the_skip_by_one_factor_per_pixel_that_both_decide() -> None:
    attend, skip, gate = SkipAttention(2, 1, hidden=1), torch.rand(1, 2, 2, 2) + 0.5, torch.tensor([[[[2.0]]]])
    with torch.no_grad():
        for conv, weight in ((attend.of_skip, 1.0), (attend.of_gate, -1.0), (attend.psi, 3.0)):
            conv.weight.fill_(weight)
        attend.of_gate.bias.zero_()
        attend.psi.bias.fill_(-1)
    factor = torch.sigmoid(3 * (skip.sum(1, keepdim=True) - 2).clamp_min(0) - 1)
    assert torch.allclose(attend(skip, gate), skip * factor)
    with pytest.raises(InputError, match="gate has shape"):
        attend(skip, skip)


def test_refinement_adds_two_convolutions_to_its_input() -> None:
    block, x = ResSkipBlock(3, activation=None), torch.rand(1, 3, 5, 5)
    assert torch.allclose(block(x), x + block.body[3](block.body[0](x)))
    assert (block(x) - x).std() < 0.3 * x.std()
    nn.init.zeros_(block.body[3].weight)
    nn.init.zeros_(block.body[3].bias)
    assert torch.equal(block(x), x)


def test_norms_and_activations_by_their_names() -> None:
    x = torch.randn(4, 6, 5, 5)
    for norm, axes in (("batch", (0, 2, 3)), ("instance", (2, 3))):
        assert make_norm(norm, 6)(x).mean(axes).abs().max() < 1e-5
    by_group = make_norm("group", 6)(x).unflatten(1, (2, 3))
    assert by_group.mean((2, 3, 4)).abs().max() < 1e-5
    assert make_norm(None, 6)(x) is x
    assert torch.equal(make_activation("relu")(x), x.clamp_min(0))
    with pytest.raises(InputError, match="norm is 'layer'; expected one of None, 'batch'"):
        make_norm("layer", 6)
    with pytest.raises(InputError, match="activation is 'swish'"):
        make_activation("swish")


def test_the_pixel_shuffle_block_is_a_refined_subpixel_level() -> None:
    block, x, skip = PixelShuffleUpBlock(4, 3, 5, scale=3), torch.rand(1, 4, 4, 5), torch.rand(1, 5, 12, 15)
    level = block.level
    assert torch.equal(block(x, skip), level.refine(F.relu(level.fusion(level.up(x), skip))))
    assert isinstance(level.refine, ResSkipBlock)
    assert type(level.up) is MODES["subpixel"]
    with pytest.raises(InputError, match="no skip was given"):
        block(x)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "unpool"}, "mode is 'unpool'; expected one of 'deconv'"),
        ({"fusion": "sum"}, "fusion is 'sum'; expected one of 'concat'"),
        ({"scale": 1}, "scale is 1; expected an integer of 2 or more"),
        ({"scale": 2.5}, "scale is 2.5"),
        ({"out_channels": 0}, "out_channels=0.*expected channels of 1 or more"),
        ({"skip_channels": -1}, "skip_channels=-1"),
        ({"film_dim": 0}, "film_dim=0"),
        ({"mode": "gated"}, "mode 'gated' blends with a skip"),
        ({"attention": True}, "attention weighs a skip, and none is used"),
        ({"attention": True, "skip_channels": 2, "fusion": "none"}, "attention weighs a skip, and none is used"),
        ({"norm": "layer"}, "norm is 'layer'"),
        ({"activation": "swish"}, "activation is 'swish'"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Block(**{"in_channels": 4, "out_channels": 3, **options})


def test_inputs_that_were_not_declared_or_do_not_fit_are_refused() -> None:
    x, skip, cond = full_inputs()
    with_skip, plain, filmed = Block(4, 3, 5), Block(4, 3), Block(4, 3, film_dim=2)
    with pytest.raises(InputError, match="no skip was given; expected one of 5 channels"):
        with_skip(x)
    with pytest.raises(InputError, match="a skip was given, and skip_channels is 0"):
        plain(x, skip)
    with pytest.raises(InputError, match="a cond was given, and film_dim is None"):
        plain(x, None, cond)
    with pytest.raises(InputError, match=r"no cond was given; expected one of \(N, 2\)"):
        filmed(x)
    with pytest.raises(InputError, match=r"x has shape \(2, 3, 4, 5\); expected \(N, 4, H, W\)"):
        plain(x[:, :3])
    with pytest.raises(InputError, match="x has shape"):
        plain(x[0])
    with pytest.raises(InputError, match="skip has shape"):
        with_skip(x, skip[:, :4])
    with pytest.raises(InputError, match="skip is 4x5"):
        with_skip(x, skip[..., ::2, ::2])


@pytest.mark.parametrize("mode", ["interpolate_conv", "gated"])
@pytest.mark.parametrize("fusion", ["concat", "none"])
@pytest.mark.parametrize("size", [(7, 9), (8, 10), (9, 11)])
def test_a_level_returns_the_size_of_its_skip(mode: str, fusion: str, size: tuple[int, int]) -> None:
    level = Block(4, 3, 5, mode, fusion)
    assert level(torch.rand(1, 4, 4, 5), torch.rand(1, 5, *size)).shape == (1, 3, *size)
