"""Short handles of sites with long names."""

from __future__ import annotations

import itertools
import random
import re
import time

import pytest

from artifactlab.attribution.handles import LONGEST, Handles, _parts

DEEP = "first_stage_model.decoder.up.{}.upsample.conv_in/conv_transpose2d#0"


def test_a_key_that_fits_is_its_own_handle() -> None:
    keys = ["dec.up2/interpolate#0", "interpolate#0", "x" * LONGEST]
    handles = Handles.of(keys)
    assert [handles[key] for key in keys] == keys
    assert handles.full == {}


def test_a_handle_is_the_tail_of_the_path_that_no_other_site_has() -> None:
    handles = Handles.of([DEEP.format(number) for number in range(3)])
    assert handles[DEEP.format(1)] == "...up.1.upsample.conv_in/conv_transpose2d#0"
    assert handles.full[handles[DEEP.format(2)]] == DEEP.format(2)


def test_a_handle_holds_as_much_of_the_path_as_fits() -> None:
    (handle,) = Handles.of(["generator.synthesis.backbone.b256.conv0/interpolate#0"]).full
    assert handle == "...b256.conv0/interpolate#0"
    assert len("...backbone.b256.conv0/interpolate#0") > LONGEST


def test_a_handle_never_begins_with_a_number_which_says_nothing_without_its_list() -> None:
    (handle,) = Handles.of(["the_decoder_of_the_second_stage.blocks.11/interpolate#0"]).full
    assert handle == "...blocks.11/interpolate#0"


def test_a_name_of_which_hardly_anything_could_be_left_out_is_left_whole() -> None:
    key = "decoder.up_blocks.0/conv_transpose3d#0"
    assert len(key) > LONGEST
    assert Handles.of([key])[key] == key


def test_a_name_without_any_dot_is_left_whole() -> None:
    key = "the_only_layer_and_a_rather_long_name/conv_transpose2d#0"
    assert Handles.of([key])[key] == key


def test_two_calls_in_one_module_are_told_apart() -> None:
    keys = [f"network.decoder.of.the.second.stage/interpolate#{call}" for call in (0, 1, 10)]
    assert len({Handles.of(keys)[key] for key in keys}) == 3


def test_what_is_no_site_keeps_its_name() -> None:
    assert Handles.of([DEEP.format(0)])["a.rather.long.name.of.a.merge.which.is.no.site/cat#0"].endswith("site/cat#0")


@pytest.mark.parametrize("seed", range(20))
def test_handles_are_unique_tails_that_lead_back_to_one_key(seed: int) -> None:
    draw = random.Random(seed)
    words = ["up", "0", "1", "conv", "model", "a_longer_name_of_a_block"]
    keys = {
        ".".join(draw.choices(words, k=draw.randint(1, 7))) + f"/interpolate#{draw.randint(0, 11)}" for _ in range(30)
    }
    handles = Handles.of(keys)
    assert len({handles[key] for key in keys}) == len(keys)
    for handle, key in handles.full.items():
        folded = handle.removeprefix("...")
        assert [other for other in keys if f".{'.'.join(_parts(other))}".endswith(f".{folded}")] == [key]
        repeated = re.compile(r"\(([^)]+)\)x(\d+)")
        tail = repeated.sub(lambda part: ".".join([part[1]] * int(part[2])), folded)
        assert f".{key}".endswith(f".{tail}")
        assert len(handle) < len(key)


def test_parts_that_nest_in_each_other_stand_once_with_how_often() -> None:
    deep = "model.model.1.model.3.model.3.model.3.model.3.model.{}/conv_transpose2d#0"
    handles = Handles.of([deep.format("5"), deep.format("3.model.5"), "model.model.1.model.5/conv_transpose2d#0"])
    assert handles[deep.format("5")] == "...(model.3)x4.model.5/conv_transpose2d#0"
    assert handles[deep.format("3.model.5")] == "...(model.3)x5.model.5/conv_transpose2d#0"


def test_keys_in_a_text_become_handles_and_nothing_else_does() -> None:
    keys = [
        "stage.decoder.blocks.up/interpolate#1",
        "stage.decoder.blocks.up/interpolate#10",
        "blocks.up/interpolate#1",
    ]
    handles = Handles.of(keys)
    for order in itertools.permutations(keys):
        text = handles.shorten(f"{order[0]} causes it, {order[1]} ({order[2]}).")
        assert text == f"{handles[order[0]]} causes it, {handles[order[1]]} ({handles[order[2]]})."
    assert handles.shorten("my.stage.decoder.blocks.up/interpolate#1") == "my.stage.decoder.blocks.up/interpolate#1"


def test_a_model_of_thousands_of_sites_has_its_handles_at_once() -> None:
    keys = [
        f"model.decoder.stages.{block}.blocks.{layer}.upsample/interpolate#0"
        for block in range(60)
        for layer in range(60)
    ]
    began = time.perf_counter()
    assert len(Handles.of(keys).full) == len(keys)
    assert time.perf_counter() - began < 2, "every pair of them would take minutes"
