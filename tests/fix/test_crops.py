"""Large inputs are trained on in crops, small ones are left out, and what is judged on is kept from the training."""

from __future__ import annotations

import copy
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix import Evaluation, JudgingOptions, TrainingOptions, fix_site, replace_upsampler
from artifactlab.fix.crops import MOST, Crops, training_crops
from artifactlab.fix.hold_out import are_same, hold_out
from artifactlab.fix.objective import Objective
from artifactlab.models.calls import as_calls
from artifactlab.models.image_needs import ImageNeeds, declare


class Picky(nn.Module):
    """A transposed convolution that takes images of sides which are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        assert all(side % 8 == 0 for side in x.shape[2:]), x.shape
        return self.up(x)


class OfOneSize(Picky):
    def forward(self, x: Tensor) -> Tensor:
        return self.up(nn.functional.adaptive_avg_pool2d(x, 64))


def cropped(model: nn.Module, images: list[Tensor]) -> Crops:
    swap = replace_upsampler(copy.deepcopy(model), "up")
    return training_crops(model.eval(), [swap], as_calls(images), JudgingOptions())


def test_large_images_are_cut_to_crops_of_256_pixels_of_output_in_turns_and_the_same_each_time() -> None:
    images = [torch.rand(1, 1, 400, 136), torch.rand(1, 1, 64, 64), torch.rand(1, 1, 256, 128)]
    made = cropped(Picky(), images)
    assert made.images == [0, 1, 2, 0, 2, *[0] * 6]
    assert [tuple(call.args[0].shape[2:]) for call in made.calls[:3]] == [(128, 128), (64, 64), (128, 128)]
    assert "11 crops of at most 128x128, of 3 inputs" in made.notes[0]
    again = cropped(Picky(), images)
    assert all(torch.equal(a.args[0], b.args[0]) for a, b in zip(made.calls, again.calls, strict=True))


def test_images_that_are_small_enough_are_trained_on_as_they_are() -> None:
    images = [torch.rand(1, 1, 128, 64)]
    made = cropped(Picky(), images)
    assert made.calls[0].args[0] is images[0]
    assert made.notes == ()


def test_images_too_small_for_the_lattice_are_left_out_and_counted() -> None:
    images = [torch.rand(1, 1, 64, 64), torch.rand(1, 1, 8, 64), torch.rand(1, 1, 32, 32)]
    made = cropped(Picky(), images)
    assert made.images == [0, 2]
    assert made.notes == ("1 of 3 inputs were left out of the training: too small for a lattice of period 2.",)
    with pytest.raises(InputError, match="too small to train a lattice of period 2 away"):
        cropped(Picky(), [torch.rand(1, 1, 8, 8)])


@pytest.mark.parametrize(("model", "why"), [(OfOneSize(), "one size"), (Picky(), "whole images")], ids=lambda v: str(v))
def test_a_model_that_takes_no_parts_is_shown_whole_images(model: nn.Module, why: str) -> None:
    if why == "whole images":
        declare(model, ImageNeeds("a net", channels=1, crops=False))
    images = [torch.rand(1, 1, 272, 272)]
    assert cropped(model, images).calls[0].args[0] is images[0]


def test_every_input_of_a_call_is_cut_at_the_same_place_and_a_prompt_is_left_as_it_is() -> None:
    class Guided(Picky):
        def forward(self, x: Tensor, mask: Tensor, prompt: Tensor) -> Tensor:
            return super().forward(x * mask) + prompt.mean()

    image, prompt = torch.rand(1, 1, 160, 160), torch.rand(1, 77, 8)
    model = Guided().eval()
    swap = replace_upsampler(copy.deepcopy(model), "up")
    made = training_crops(model, [swap], as_calls([(image, image.clone(), prompt)]), JudgingOptions())
    for call in made.calls:
        assert torch.equal(call.args[0], call.args[1])
        assert call.args[0].shape[2:] == (128, 128)
        assert call.args[2] is prompt


def test_signals_are_cut_along_their_samples() -> None:
    class Sound(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose1d(1, 1, 4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.up(x)

    assert [call.args[0].shape[2] for call in cropped(Sound(), [torch.rand(1, 1, 50_000)]).calls] == [32_768] * 2


def test_no_more_crops_are_kept_than_fit_in_memory() -> None:
    made = cropped(Picky(), [torch.rand(1, 1, 128 * 16, 128 * 20)])
    assert len(made.calls) == MOST


def test_crops_of_held_out_images_are_not_trained_on() -> None:
    images = [0, 1, 2, 3, 4, 5, 0, 1, 5]
    made = Objective(
        nn.Identity(), {}, as_calls([torch.zeros(1)] * 9), [], (2, 2), TrainingOptions(), JudgingOptions(), images
    )
    assert made.held_out == [0, 5, 6, 8]
    assert made.used == [1, 2, 3, 4, 7]


def test_a_fifth_of_the_images_is_judged_on_where_none_are_given_for_that() -> None:
    calls = as_calls([torch.rand(1, 1, 64, 64) for _ in range(6)])
    apart = hold_out(Picky(), calls, JudgingOptions())
    assert apart.judged == [calls[0], calls[5]]
    assert apart.taught == calls[1:5]
    assert apart.diagnosed == apart.judged
    assert apart.note == "Judged on 2 of the 6 inputs, trained on the others."
    assert not are_same(apart.judged, apart.taught)
    assert are_same(apart.judged, calls)


def test_of_few_images_it_is_the_lower_quarter_and_layers_are_found_on_all_of_them() -> None:
    calls = as_calls([torch.rand(1, 1, 128, 96)])
    apart = hold_out(Picky(), calls, JudgingOptions())
    (judged,), (taught,) = apart.judged, apart.taught
    assert torch.equal(torch.cat([taught.args[0], judged.args[0]], 2), calls[0].args[0])
    assert judged.args[0].shape[2] == 32
    assert apart.diagnosed == calls


def test_images_too_few_and_too_small_to_keep_apart_are_judged_on_and_it_says_so() -> None:
    calls = as_calls([torch.rand(1, 1, 64, 64)])
    apart = hold_out(Picky(), calls, JudgingOptions())
    assert apart.judged == apart.taught == calls
    assert apart.note.startswith("Judged on what it was trained on: ")


def test_a_fix_trained_on_its_own_inputs_is_judged_on_others_and_tells_how_it_goes(decoders: ModuleType) -> None:
    images, told = decoders.images(1, 128), list[Evaluation]()
    made = fix_site(decoders.gridded(), images, distil_on=images, steps=25, report=told.append)
    assert made.note.startswith("Judged on the lower quarter")
    assert [call.args[0].shape[2] for call in made.judged_on] == [32]
    (evaluation,) = told
    assert 0 <= evaluation.severity < 1
    assert str(evaluation).startswith(f"{255 * evaluation.loss:.2f}/255 off, severity 0.")
