"""Capture names sites pass by pass, measures them, and goes on after what went wrong."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_function import IMAGE, AnyForward, keys
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import artifactlab
from artifactlab import CaptureError, ModelError
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.attribution.sites.watch import watch


def test_sites_carry_qualified_names_scales_and_periods() -> None:
    decoder = nn.Sequential()
    decoder.add_module("up1", nn.Upsample(scale_factor=2))
    decoder.add_module("up2", nn.ConvTranspose2d(4, 4, 3, stride=3, padding=0))
    model = nn.Sequential()
    model.add_module("dec", decoder)
    with artifactlab.capture(model) as cap:
        model(IMAGE)
    assert [(s.site.key, s.site.scale, s.site.period) for s in cap.sites] == [
        ("dec.up1/interpolate#0", (2, 2), (6, 6)),
        ("dec.up2/conv_transpose2d#0", (3, 3), (3, 3)),
    ]


def test_a_module_called_twice_is_two_sites_in_every_pass() -> None:
    up = nn.Upsample(scale_factor=2)
    model = nn.Sequential(up, up)
    assert keys(model, IMAGE) == ["0/interpolate#0", "0/interpolate#1"]
    with artifactlab.capture(model) as cap:
        model(IMAGE)
        model(IMAGE[:, :, :24])
    assert [found.site.key for found in cap.sites] == ["0/interpolate#0", "0/interpolate#1"]


@pytest.mark.parametrize("inside", [True, False], ids=["backward in forward", "backward after"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_what_backward_runs_again_is_no_pass_and_no_visit(reentrant: bool, inside: bool) -> None:
    up = nn.Sequential(nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.Sigmoid())

    def enlarge(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2).sigmoid()

    def seen(run: Any) -> list[CapturedSite]:
        def forward(x: Tensor) -> Tensor:
            output = run(up, run(enlarge, run(up, x)))
            if inside:
                torch.autograd.backward(output.square().mean())
            return output

        model = AnyForward(forward)
        model.up = up
        with artifactlab.capture(model) as cap:
            output = model(IMAGE.clone().requires_grad_())
            if not inside:
                torch.autograd.backward(output.square().mean())
        return cap.sites

    expected = seen(lambda part, x: part(x))
    assert [s.site.key for s in expected] == ["up.0/conv_transpose2d#0", "interpolate#0", "up.0/conv_transpose2d#1"]
    assert seen(lambda part, x: checkpoint(part, x, use_reentrant=reentrant)) == expected


def test_outputs_may_be_tuples_dicts_or_dataclasses() -> None:
    @dataclass
    class Result:
        score: Tensor
        image: Tensor

    def forward(x: Tensor) -> dict[str, Any]:
        return {"a": Result(x.mean(), F.interpolate(x, scale_factor=2)), "b": (x, None)}

    model = nn.Sequential(AnyForward(lambda x: F.interpolate(x, scale_factor=2)), AnyForward(forward))
    with artifactlab.capture(model) as cap:
        model(IMAGE)
    assert [found.site.period for found in cap.sites] == [(4, 4), (2, 2)]


def test_capture_recovers_after_a_failed_pass_in_the_same_block() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Upsample(scale_factor=2))
    with artifactlab.capture(model) as cap:
        with pytest.raises(RuntimeError):
            model(torch.rand(1, 3, 32, 32))
        model(IMAGE)
    assert [found.site.key for found in cap.sites] == ["1/interpolate#0"]


def test_a_nan_pass_does_not_spoil_the_next_one() -> None:
    class ZeroStuffing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out = x.new_zeros(1, 4, 64, 64)
            out[..., ::2, ::2] = x
            return out

    model = nn.Sequential(ZeroStuffing())
    with artifactlab.capture(model) as cap:
        with pytest.raises(CaptureError):
            model(torch.full((1, 4, 32, 32), float("nan")))
        model(IMAGE)
    assert [found.site.key for found in cap.sites] == ["0/module#0"]


def test_a_method_that_calls_submodules_gives_sites_with_their_periods() -> None:
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = nn.Sequential(nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2))

        def decode(self, z: Tensor) -> Tensor:
            return self.decoder(z)

    model = Vae()
    with artifactlab.capture(model) as cap:
        model.decode(IMAGE)
    assert [found.site.period for found in cap.sites] == [(4, 4), (2, 2)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_scripted_submodules_are_seen_from_outside() -> None:
    model = nn.Sequential(torch.jit.script(nn.Upsample(None, 2.0)))
    assert keys(model, IMAGE) == ["module#0"]


def test_nothing_captured_is_an_error_that_says_so() -> None:
    model = nn.Conv2d(4, 4, 1)
    with artifactlab.capture(model) as cap:
        model(IMAGE)
    with pytest.raises(CaptureError, match="no upsampling was seen"):
        _ = cap.sites


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_wrappers_are_looked_through() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2))
    expected = ["0/interpolate#0"]
    assert keys(nn.DataParallel(model), IMAGE) == expected
    assert artifactlab.diagnose(torch.compile(model), IMAGE).sites[0].site.key == expected[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_script_module_is_refused_with_the_reason() -> None:
    with pytest.raises(ModelError, match="ScriptModule"), artifactlab.capture(torch.jit.script(nn.Upsample(None, 2.0))):
        pass


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ModelError, match=r"expected a torch\.nn\.Module, got function"), artifactlab.capture(keys):
        pass


def test_nan_in_an_activation_names_the_site() -> None:
    up = nn.ConvTranspose2d(4, 4, 2, 2)
    nn.init.constant_(up.weight, float("nan"))
    model = nn.Sequential(up)
    with pytest.raises(CaptureError, match="0/conv_transpose2d holds NaN"), artifactlab.capture(model):
        model(IMAGE)


def test_two_threads_capture_two_models_at_once() -> None:
    results: dict[int, list[str]] = {}

    def work(count: int) -> None:
        model = nn.Sequential(*(nn.Upsample(scale_factor=2) for _ in range(count)))
        for _ in range(5):
            results[count] = keys(model, IMAGE[..., :8, :8])

    threads = [threading.Thread(target=work, args=(count,)) for count in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {count: len(found) for count, found in results.items()} == {1: 1, 2: 2, 3: 3}


def test_half_precision_and_channels_last_models_are_captured() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2)).bfloat16().to(memory_format=torch.channels_last)
    assert keys(model, IMAGE.bfloat16()) == ["0/conv_transpose2d#0"]


class Sampler(nn.Module):
    """Runs one transposed convolution over and over, each time with a stronger grid."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 2, 2, bias=False)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        up = x
        for step in range(self.steps):
            kernel = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 0.1 * step]])
            self.up.weight.data.copy_(kernel)
            up = self.up(x)
        return up


def test_of_a_layer_that_runs_often_calls_1_4_and_16_are_measured_and_speak_for_the_next() -> None:
    model, image = Sampler(20), torch.rand(1, 1, 32, 32)
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(image)
    shares = [found.evidence.checkerboard_energy for found in cap.sites]
    assert len(shares) == 20
    measured = [shares[0]] * 3 + [shares[3]] * 12 + [shares[15]] * 5
    assert shares == measured
    assert shares[0] < shares[3] < shares[15]
    every = Capture(every_call=True)
    with watch(model, every.visit, every.finish), torch.no_grad():
        model(image)
    all_of_them = [found.evidence.checkerboard_energy for found in every.sites]
    assert len(set(all_of_them)) > 15
    assert [all_of_them[k] for k in (0, 3, 15)] == [shares[k] for k in (0, 3, 15)]


def test_stages_that_share_a_line_of_code_are_measured_each() -> None:
    class Stages(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for mode in ("bilinear", "nearest"):
                x = F.interpolate(x, scale_factor=2, mode=mode)
            return x

    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    image = (24 - torch.hypot(rows - 20, columns - 30))[None, None].clamp(0, 1)
    model = Stages()
    with artifactlab.capture(model) as cap:
        model(image)
    smooth, steps = (found.evidence.edge_jaggedness for found in cap.sites)
    assert steps > 0.2 > smooth


def test_nan_in_a_call_that_is_not_measured_is_found() -> None:
    class Diverging(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for step in range(3):
                up = F.interpolate(x / (step < 2), scale_factor=2)
            return up

    model = Diverging()
    with pytest.raises(CaptureError, match="holds NaN or Inf"), artifactlab.capture(model):
        model(torch.rand(1, 1, 32, 32))


def test_a_capture_says_what_it_has_seen() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.ConvTranspose2d(1, 1, 4, 2, 1))
    with artifactlab.capture(model) as cap:
        assert repr(cap) == "Capture(nothing yet)"
        model(torch.rand(1, 1, 32, 32))
    assert repr(cap) == "Capture(2 layers: 0/interpolate, 1/conv_transpose2d)"
