"""A fused resize and convolution gives what the two give, at every pixel, and leaves them alone."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix.fuse import count_fused, fuse, fuse_model
from artifactlab.fix.fused import FusedUpsample
from artifactlab.fix.upsample import ResizeConvUpsample

SIZES = ((3, 3), (3, 8), (9, 4))
PADDINGS = {"zeros": nn.ZeroPad2d, "replicate": nn.ReplicationPad2d, "reflect": nn.ReflectionPad2d}


def resize_conv(resample: str, scale: int, kernel: int | tuple[int, int], **options: object) -> nn.Sequential:
    up = nn.Upsample(scale_factor=scale, mode=resample)
    return nn.Sequential(up, nn.Conv2d(*options.pop("channels", (3, 2)), kernel, **options)).eval()


@torch.no_grad()
def off(fused: nn.Module, pair: nn.Module, x: Tensor) -> float:
    """The largest difference, over the rms."""
    given, expected = fused(x), pair(x)
    assert given.shape == expected.shape
    assert given.dtype == expected.dtype
    return float((given - expected).abs().max() / expected.square().mean().sqrt())


@pytest.mark.parametrize("border", PADDINGS)
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
def test_every_pixel_is_the_pairs(resample: str, scale: int, kernel: int, border: str) -> None:
    pair = resize_conv(resample, scale, kernel, padding=kernel // 2, padding_mode=border)
    fused = fuse(pair)
    for size in SIZES:
        assert off(fused, pair, torch.randn(2, 3, *size)) < 1e-5
    assert off(fused.double(), pair.double(), torch.randn(1, 3, 5, 4, dtype=torch.float64)) < 1e-5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_so_it_is_for_any_size_and_any_padding_up_to_half_the_kernel(data: st.DataObject) -> None:
    kernel = data.draw(st.tuples(*[st.sampled_from((1, 3, 5))] * 2))
    pads = [data.draw(st.integers(0, size // 2)) for size in (kernel[1], kernel[1], kernel[0], kernel[0])]
    resample, border = (
        data.draw(st.sampled_from(("nearest", "nearest-exact", "bilinear"))),
        data.draw(st.sampled_from(list(PADDINGS))),
    )
    up = nn.Upsample(scale_factor=data.draw(st.sampled_from((2, 3, 4))), mode=resample)
    pair = nn.Sequential(up, PADDINGS[border](tuple(pads)), nn.Conv2d(2, 2, kernel)).double()
    size = data.draw(st.tuples(st.integers(3, 11), st.integers(3, 11)))
    assert off(fuse(pair), pair, torch.randn(1, 2, *size, dtype=torch.float64)) < 1e-5


@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
def test_tiny_inputs_smaller_than_the_kernel_are_all_border(resample: str) -> None:
    pair = resize_conv(resample, 2, 7, padding=3)
    for size in ((1, 1), (2, 1), (1, 5), (4, 2)):
        assert off(fuse(pair), pair, torch.randn(1, 3, *size)) < 1e-5


@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_groups_and_paddings_in_words(resample: str, groups: int, padding: str | int) -> None:
    pair = resize_conv(resample, 2, 3, channels=(6, 12), groups=groups, padding=padding, bias=groups > 1)
    assert off(fuse(pair), pair, torch.randn(2, 6, 5, 7)) < 1e-5


@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
@pytest.mark.parametrize("kernel", [3, 5])
def test_the_blocks_of_this_package(resample: str, kernel: int) -> None:
    block = ResizeConvUpsample(4, 3, scale=3, resample=resample, kernel_size=kernel)
    assert off(fuse(block), block, torch.randn(1, 4, 5, 8)) < 1e-5


def test_phases_that_read_alike_are_computed_once() -> None:
    assert [tuple(k.shape[2:]) for k in fuse(resize_conv("nearest", 2, 3, padding=1)).kernels] == [(2, 2)] * 4
    assert len(fuse(resize_conv("nearest", 4, 3, padding=1)).kernels) == 9


@pytest.mark.parametrize("border", PADDINGS)
def test_layout_and_autocast_are_the_convolutions(border: str) -> None:
    pair = resize_conv("bilinear", 2, 3, channels=(4, 8), padding=1, padding_mode=border)
    fused, x = fuse(pair), torch.randn(2, 4, 6, 5).to(memory_format=torch.channels_last)
    assert off(fused, pair, x) < 1e-5
    assert fused(x).is_contiguous(memory_format=torch.channels_last)
    assert fused(x.contiguous()).is_contiguous()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert off(fused, pair, x) < 0.05
        assert fused(x).dtype == torch.bfloat16


def test_it_can_be_exported_with_sizes_left_open() -> None:
    fused, x = fuse(resize_conv("bilinear", 2, 3, padding=1)).eval(), torch.randn(2, 3, 6, 7)  # with strips
    sizes = {name: torch.export.Dim(name, min=3, max=512) for name in ("height", "width")}
    shapes = {"x": {2: sizes["height"], 3: sizes["width"]}}
    exported = torch.export.export(fused, (x,), dynamic_shapes=shapes).module()
    other = torch.randn(2, 3, 9, 4)
    assert torch.allclose(exported(other), fused(other), atol=1e-6)


@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
def test_weights_are_saved_and_loaded_strictly(resample: str, tmp_path: Path) -> None:
    first, second = (fuse(resize_conv(resample, 2, 3, padding=1)) for _ in range(2))
    x = torch.randn(1, 3, 4, 5)
    assert off(first, second, x) > 0.1
    torch.save(first.state_dict(), tmp_path / "fused.pt")
    second.load_state_dict(torch.load(tmp_path / "fused.pt", weights_only=True), strict=True)
    assert torch.equal(first(x), second(x))
    assert torch.equal(copy.deepcopy(first)(x), first(x))


def test_only_the_input_takes_a_gradient_and_it_is_the_pairs() -> None:
    pair = resize_conv("bilinear", 2, 3, padding=1).double()
    fused, x = fuse(pair), torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert not any(p.requires_grad for p in fused.parameters())
    grads = [torch.autograd.grad(module(x).square().sum(), x)[0] for module in (fused, pair)]
    assert torch.allclose(*grads)


def test_the_argument_is_left_as_it_is_and_shares_nothing() -> None:
    pair = resize_conv("bilinear", 2, 3, padding=1).train()
    before = copy.deepcopy(pair.state_dict())
    fused = fuse(pair)
    with torch.no_grad():
        for p in fused.parameters():
            p.zero_()
    assert all(torch.equal(values, before[name]) for name, values in pair.state_dict().items())
    assert pair.training
    assert all(p.requires_grad for p in pair.parameters())


def test_a_parametrised_weight_is_read_as_it_stands() -> None:
    pair = resize_conv("nearest", 2, 3, padding=1).train()
    nn.utils.parametrizations.spectral_norm(pair[1])
    before = copy.deepcopy(pair.state_dict())
    fused = fuse(pair)
    assert all(torch.equal(values, before[name]) for name, values in pair.state_dict().items())
    assert off(fused, pair.eval(), torch.randn(1, 3, 5, 5)) < 1e-5


class Own(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked() -> nn.Module:
    pair = resize_conv("nearest", 2, 3)
    pair[1].register_forward_hook(lambda module, args, output: 2 * output)
    return pair


UP = nn.Upsample(scale_factor=2)
REFUSED = {
    "ReLU follows the convolution.*fuse_model": lambda: nn.Sequential(UP, nn.Conv2d(2, 2, 3), nn.ReLU()),
    "the resize is bicubic; expected nearest or bilinear": lambda: ResizeConvUpsample(2, 2, resample="bicubic"),
    "rows and columns alike: run the block as it is": lambda: ResizeConvUpsample(2, 2, spatial_dims=3),
    "the scale is 5; expected 2, 3 or 4": lambda: ResizeConvUpsample(2, 2, scale=5),
    "the scale is 1.5": lambda: nn.Sequential(nn.Upsample(scale_factor=1.5), nn.Conv2d(2, 2, 3)),
    r"the scale is \(2.0, 3.0\)": lambda: nn.Sequential(nn.Upsample(scale_factor=(2, 3)), nn.Conv2d(2, 2, 3)),
    "to the size 8; give": lambda: nn.Sequential(nn.Upsample(8), nn.Conv2d(2, 2, 3)),
    "align_corners is True": lambda: nn.Sequential(nn.UpsamplingBilinear2d(scale_factor=2), nn.Conv2d(2, 2, 3)),
    "stride": lambda: resize_conv("nearest", 2, 3, stride=2),
    "dilation": lambda: resize_conv("nearest", 2, 3, dilation=2),
    "expected an odd one": lambda: resize_conv("nearest", 2, 4),
    "padding_mode is 'circular'": lambda: resize_conv("nearest", 2, 3, padding=1, padding_mode="circular"),
    "expected at most half the kernel": lambda: resize_conv("nearest", 2, 3, padding=2),
    "stands before a convolution that pads": lambda: nn.Sequential(
        UP, nn.ReflectionPad2d(1), nn.Conv2d(2, 2, 3, padding=1)
    ),
    "sequence of Upsample, CircularPad2d, Conv2d cannot": lambda: nn.Sequential(
        UP, nn.CircularPad2d(1), nn.Conv2d(2, 2, 3)
    ),
    "sequence of Upsample cannot": lambda: nn.Sequential(UP),
    "sequence of nothing cannot": lambda: nn.Sequential(),
    "Own has a forward of its own": lambda: nn.Sequential(UP, Own(2, 2, 3)),
    "Conv2d has a forward of its own, or hooks": hooked,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_fused_is_refused_with_what_to_do(message: str) -> None:
    with pytest.raises(FixError, match=message):
        fuse(REFUSED[message]())


def test_other_things_are_no_pairs() -> None:
    with pytest.raises(InputError, match="Conv2d cannot be fused; expected ResizeConvUpsample"):
        fuse(nn.Conv2d(2, 2, 3))
    with pytest.raises(InputError, match="got str"):
        fuse("up")
    with pytest.raises(InputError, match=r"x has shape \(1, 2, 4, 4\); expected \(N, 3, H, W\)"):
        fuse(resize_conv("nearest", 2, 3))(torch.randn(1, 2, 4, 4))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = ResizeConvUpsample(3, 4)
        self.again = self.block
        self.sharp = ResizeConvUpsample(4, 4, resample="bicubic")
        self.tail = nn.Sequential(
            nn.Conv2d(4, 4, 1),
            copy.deepcopy(UP),
            nn.ReflectionPad2d(1),
            nn.Conv2d(4, 3, 3),
            nn.ReLU(),
            copy.deepcopy(UP),
            nn.ReLU(),
            copy.deepcopy(UP),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.tail(self.sharp(self.block(x))))


def test_a_model_is_copied_with_every_pair_in_it_fused() -> None:
    model = Decoder().eval()
    fused, x = fuse_model(model), torch.randn(1, 3, 4, 5)
    assert off(fused, model, x) < 1e-5
    assert count_fused(model) == 0
    assert count_fused(fused) == 2
    assert fused.block is fused.again
    assert isinstance(fused.sharp, ResizeConvUpsample)
    kinds = [type(layer).__name__ for layer in fused.tail]
    assert kinds == ["Conv2d", "FusedUpsample", "Identity", "Identity", "ReLU", "Upsample", "ReLU", "Upsample"]
    assert not any(module.training for module in fused.modules())


def test_a_sequence_whose_parts_a_forward_runs_one_by_one_is_left_alone() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1))

        def forward(self, x: Tensor) -> Tensor:
            return self.up[1](self.up[0](x) + 1)

    with pytest.raises(FixError, match=r"up\.0: the convolution was not seen to read it"):
        fuse_model(Apart())


def test_the_model_may_be_the_pair_itself() -> None:
    assert isinstance(fuse_model(ResizeConvUpsample(2, 2)), FusedUpsample)
    assert count_fused(fuse_model(resize_conv("bilinear", 2, 3))) == 1


def test_a_model_with_nothing_to_fuse_is_refused_with_the_reason() -> None:
    with pytest.raises(FixError, match=r"nothing to fuse: .*\(0: the convolution has stride"):
        fuse_model(resize_conv("nearest", 2, 3, stride=2))
    with pytest.raises(FixError, match=r"that fuse takes \(up: the resize is bicubic"):
        fuse_model(nn.ModuleDict({"up": ResizeConvUpsample(2, 2, resample="bicubic")}))
    with pytest.raises(FixError, match=r"that fuse takes$"):
        fuse_model(nn.Conv2d(2, 2, 3))
    with pytest.raises(ModelError, match=r"expected a torch\.nn\.Module"):
        fuse_model("model")
