"""Which tensor of an output is judged, what its axes and values are taken for, and what is said where none can be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from artifactlab.errors import CaptureError, ModelError
from artifactlab.models.calls import Call
from artifactlab.models.layout import Layout
from artifactlab.models.outputs import judged_in, pick_named, pick_output, pick_tensor
from artifactlab.models.runner import Runner

IMAGE, LARGE = torch.rand(1, 3, 24, 24), torch.rand(1, 3, 32, 32)
VOLUME, SIGNAL, DEPTH = torch.rand(1, 1, 8, 24, 24), torch.rand(1, 1, 9000), torch.rand(1, 40, 40)
LABELS = torch.randint(0, 5, (1, 64, 64))


class Returns(torch.nn.Module):
    """Gives back one thing after the other."""

    def __init__(self, *results: Any) -> None:
        super().__init__()
        self.results = iter(results)

    def forward(self) -> Any:
        return next(self.results)


@pytest.mark.parametrize(
    ("output", "chosen"),
    [
        ([IMAGE, LARGE], LARGE),
        ([LARGE, LARGE.clone()], LARGE),
        ([VOLUME, IMAGE], IMAGE),
        ([SIGNAL, DEPTH, VOLUME], VOLUME),
        ([LABELS, IMAGE], IMAGE),
        ([torch.zeros(1, 9, dtype=torch.long), LABELS], LABELS),
        ([IMAGE.to(torch.complex64), SIGNAL], SIGNAL),
    ],
)
def test_the_likeliest_tensor_is_judged(output: list[Tensor], chosen: Tensor) -> None:
    assert pick_tensor(output) is chosen


def test_it_is_a_guess_where_there_were_others_and_nobody_named_one() -> None:
    judged = judged_in({"logits": LARGE, "aux": [IMAGE]})
    assert judged.text == " Judged: output['logits'] (1, 3, 32, 32); name another with output=/--output."
    assert judged_in({"logits": LARGE, "aux": [IMAGE]}, "aux[0]").text == ""
    assert judged_in({"logits": LARGE, "classes": torch.zeros(1, 9, dtype=torch.long)}).text == ""


def test_a_layout_chooses_among_tensors_of_its_axes() -> None:
    assert pick_named([IMAGE, VOLUME, DEPTH], layout=Layout("NDHW")) == ("output[0]", IMAGE)
    assert pick_named([IMAGE, VOLUME, DEPTH], layout=Layout("NTCHW"))[1] is VOLUME
    with pytest.raises(ModelError, match=r"expected a real NCDHW tensor, got output\[0\].*axes with layout=/--layout"):
        pick_named([IMAGE], layout=Layout("NCDHW"))
    with pytest.raises(ModelError, match="has 4 axes; NHW has 3"):
        pick_output([IMAGE], 0, Layout("NHW"))


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (DEPTH, (1, 1, 40, 40)),
        (DEPTH[0], (1, 1, 40, 40)),
        (SIGNAL, (1, 1, 9000)),
        (torch.rand(1, 32, 32, 3), (1, 3, 32, 32)),
        (torch.rand(1, 9, 3, 32, 24), (1, 3, 9, 32, 24)),
    ],
)
def test_outputs_come_as_images_with_channels(output: Tensor, shape: tuple[int, ...]) -> None:
    assert pick_output(output).shape == shape
    assert str(tuple(output.shape)) in judged_in(output).text


def test_errors_list_the_tensors_with_paths_shapes_and_precisions() -> None:
    nothing = {"boxes": torch.zeros(4, dtype=torch.long), "aux": [torch.tensor(1.0)]}
    listed = r"output\['boxes'\]: \(4,\) torch.int64, output\['aux'\]\[0\]: \(\) torch.float32"
    with pytest.raises(ModelError, match=rf"is no image: .* got {listed}; name the right one with output=/--output"):
        pick_named(nothing)
    for choice in ("depth", 7, "aux[1]"):
        with pytest.raises(ModelError, match=rf"has no {choice!r}; it has {listed}".replace("[1]", r"\[1\]")):
            pick_named(nothing, choice)
    with pytest.raises(ModelError, match=rf"'aux' is no image: .* got a list; there are {listed}"):
        pick_named(nothing, "aux")
    with pytest.raises(ModelError, match=r"output\[11\]: \(3,\) torch.float32, and 5 more"):
        pick_named([torch.zeros(3)] * 17)
    with pytest.raises(ModelError, match="got NoneType without tensors"):
        pick_named(None)


@pytest.mark.parametrize("choice", [None, "output", "spectrum"])
def test_complex_outputs_are_told_what_to_type(choice: str | None) -> None:
    spectrum = IMAGE.to(torch.complex64)
    with pytest.raises(ModelError, match=r"complex64; .* y\.abs\(\), y\.angle\(\) or torch\.view_as_real\(y\)"):
        pick_named({"spectrum": spectrum} if choice == "spectrum" else spectrum, choice)


def test_all_passes_are_judged_as_the_first_one() -> None:
    first = {"a": torch.tensor([3, 7]).repeat(1, 32, 16), "b": LABELS[:, :16, :16]}
    later = {"a": torch.full((1, 32, 32), 9).index_fill(1, torch.tensor([4]), 7), "b": LABELS}
    with Runner(Returns(first, later), None, 0) as runner:
        shown = [runner.run(Call()) for _ in range(2)]
        assert (runner.judged.path, runner.judged.values.labels) == ("output['a']", (3, 7))
        assert runner.layout == Layout("NHW")
        assert runner.picked(later) is later["a"]
    assert [tuple(image.shape) for image in shown] == [(1, 2, 32, 32)] * 2
    assert torch.equal(shown[1][0, 1], (later["a"][0] == 7).float())
    assert not shown[1][0, 0].any()


def test_what_is_judged_is_not_known_before_the_first_pass() -> None:
    with pytest.raises(CaptureError, match="has not run yet"):
        _ = Runner(Returns(), None, 0).judged


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 3, 15, 64), "15x64 pixels, too small to measure; give inputs that make it at least 16x16"),
        ((1, 1, 9), r"9 samples \(its axes read as NCL\), too small to measure; give inputs that make it at least 16$"),
        (
            (1, 3, 2, 64, 12),
            r"2x64x12 voxels \(its axes read as NCTHW\), too small .*; give inputs that make it at least 2x16x16",
        ),
    ],
)
def test_outputs_too_small_to_measure_are_refused(shape: tuple[int, ...], wanted: str) -> None:
    with Runner(Returns(torch.rand(shape)), None, 0) as runner, pytest.raises(CaptureError, match=wanted):
        runner.run(Call())


def test_time_and_depth_may_be_short() -> None:
    with Runner(Returns(torch.rand(1, 3, 2, 16, 16)), None, 0) as runner:
        assert runner.run(Call()).shape == (1, 3, 2, 16, 16)
