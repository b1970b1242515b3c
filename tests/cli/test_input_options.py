"""What a model is run on from the command line: files of tensors, noise, a function, and the other arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from artifactlab.cli.again import diagnosed_by
from artifactlab.cli.diagnose import diagnose
from artifactlab.cli.main import main

MODELS = '''
import torch
from torch import Tensor, nn

SEEN = []

class Latent(nn.Module):
    """Writes down what it is called with."""
    def __init__(self, channels=4):
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ConvTranspose2d(channels, 3, 4, 2, 1)

    def forward(self, z, timestep: int | Tensor = 0, text: Tensor | None = None, size: list[int] = ()):
        if not SEEN or SEEN[-1][0] is not z:
            SEEN.append((z.clone(), timestep, text, size))
        return self.up(z)

class Needs(Latent):
    def forward(self, z, timestep: "int | torch.Tensor"):
        return super().forward(z, timestep)

class Pair(Latent):
    def forward(self, image: Tensor, mask: Tensor):
        return super().forward(torch.cat([image, mask], 1))

def rgb(): return Latent(3)

def endless():
    while True:
        yield torch.randn(1, 4, 32, 32), 7

def nothing(): yield from ()
def single(): return torch.zeros(1, 4, 32, 32)
def fails(): raise OSError("no data set here")
def loader():
    pairs = torch.utils.data.TensorDataset(torch.rand(6, 4, 32, 32), torch.arange(6))
    return torch.utils.data.DataLoader(pairs, batch_size=2)
'''
LATENT = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(MODELS)
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 48, 3), 255, np.uint8))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, list(arguments))


def caught(
    monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str
) -> tuple[tuple[Any, ...], dict[str, Any], Result]:
    """What a command hands to the function that does its work."""
    given: list[Any] = []

    def instead(*args: Any, **kwargs: Any) -> None:
        given.extend((args, kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(name, instead)
    result = run(*arguments)
    assert result.exit_code == 130, result.output
    return given[0], given[1], result


def seen(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Any]:
    """The calls that are diagnosed."""
    calls: list[Any] = caught(monkeypatch, "artifactlab.diagnose", "diagnose", *arguments)[0][1]
    return calls


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.pt", "list.pt", "bare.npy"])
def test_a_file_of_a_tensor_is_one_input_as_it_is(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", LATENT.numpy())
    np.save("bare.npy", LATENT[0].numpy())
    np.savez("a.npz", latents=LATENT.numpy())
    save_file({"latents": LATENT}, "a.safetensors")
    torch.save(LATENT, "a.pt")
    torch.save([LATENT], "list.pt")
    (call,) = seen(monkeypatch, "nets.py:Latent", "--input", name, "--range", "-1,1")
    assert dict(call.kwargs) == {}
    assert torch.equal(call.args[0], LATENT)


def test_an_added_batch_axis_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("bare.npy", LATENT[0].numpy())
    arguments = ("diagnose", "nets.py:Latent", "--input", "bare.npy")
    result = caught(monkeypatch, "artifactlab.diagnose", *arguments)[2]
    assert "an input (4, 32, 32) has no batch axis, and was taken as (1, 4, 32, 32)" in result.stderr


def test_tensors_by_name_are_arguments_of_one_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"image": LATENT[:, :3].contiguous(), "mask": LATENT[:, 3:].contiguous()}, "pair.safetensors")
    (call,) = seen(monkeypatch, "nets.py:Pair", "--input", "pair.safetensors")
    assert set(call.kwargs) == {"image", "mask"}
    result = run("diagnose", "nets.py:Latent", "--input", "pair.safetensors")
    assert result.exit_code == 2
    assert "has no argument 'image'; it takes z, timestep: int | Tensor = 0" in " ".join(result.stderr.split())


def test_a_list_in_a_file_is_several_calls_and_a_tuple_is_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save([LATENT, LATENT + 1, LATENT + 2], "list.pt")
    torch.save((LATENT, 3), "tuple.pt")
    assert len(seen(monkeypatch, "nets.py:Latent", "--input", "list.pt")) == 3
    (call,) = seen(monkeypatch, "nets.py:Latent", "--input", "tuple.pt")
    assert call.args[1] == 3


def test_noise_is_as_many_inputs_as_asked_for_and_the_seeds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("nets.py:Latent", "--noise", "1x4x32x32", "--noise", "text=1x7x9")
    calls = seen(monkeypatch, *arguments, "--count", "3")
    assert [tuple(call.args[0].shape) for call in calls] == [(1, 4, 32, 32)] * 3
    assert [tuple(call.kwargs["text"].shape) for call in calls] == [(1, 7, 9)] * 3
    assert len(seen(monkeypatch, *arguments)) == 8
    again, other = (seen(monkeypatch, *arguments, "--seed", seed)[0].args[0] for seed in ("0", "1"))
    assert torch.equal(calls[0].args[0], again)
    assert not torch.equal(other, again)


def test_named_noise_joins_every_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("nets.py:rgb", "--input", "a.png", "--probe", "ramp", "--crop", "32", "--noise", "text=1x2")
    first, second = seen(monkeypatch, *arguments)
    assert first.args[0].shape == second.args[0].shape == (1, 3, 32, 32)
    assert not torch.equal(first.kwargs["text"], second.kwargs["text"])


def test_arguments_are_in_every_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"text": torch.ones(2, 3)}, "text.safetensors")
    typed = ("--arg", "timestep=500", "--arg", "text=@text.safetensors", "--arg", "size=[64, 48]")
    calls = seen(monkeypatch, "nets.py:Latent", "--noise", "1x4x32x32", "--count", "2", *typed)
    for call in calls:
        assert call.kwargs["timestep"] == 500
        assert torch.equal(call.kwargs["text"], torch.ones(2, 3))
        assert call.kwargs["size"] == [64, 48]


def test_all_arguments_may_be_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("z.npy", LATENT.numpy())
    (call,) = seen(monkeypatch, "nets.py:Latent", "--arg", "z=@z.npy")
    assert torch.equal(call.kwargs["z"], LATENT)


def test_a_function_yields_inputs_the_same_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("nets.py:Latent", "--inputs", "nets.py:endless")
    calls = seen(monkeypatch, *arguments, "--count", "2")
    assert [call.args[1] for call in calls] == [7, 7]
    assert torch.equal(calls[0].args[0], seen(monkeypatch, *arguments)[0].args[0])
    batches = seen(monkeypatch, "nets.py:Latent", "--inputs", "nets.py:loader")
    assert [len(call.args) for call in batches] == [1, 1, 1]


def test_sizes_crop_images_and_range_maps_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("nets.py:rgb", "--input", "a.png", "--size", "24x32", "--range", "0,255")
    (call,) = seen(monkeypatch, *arguments)
    assert call.args[0].shape == (1, 3, 24, 32)
    assert call.args[0].unique().tolist() == [255]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nets.py:Needs", "--noise", "1x4x32x32"), "also needs timestep: int | Tensor; give --arg timestep=500"),
        (("nets.py:Needs", "--arg", "timestep=3"), "also needs z; give --arg z=@z.safetensors"),
        (
            ("nets.py:Latent", "--noise", "1x4x32x32", "--arg", "time=3"),
            "no argument 'time'; it takes z, timestep",
        ),
        (
            ("nets.py:Latent", "--noise", "1x4x32x32", "--arg", "z=3"),
            "z of the model's forward is given by",
        ),
        (("nets.py:Latent", "--noise", "four"), "expected a shape such as 1x4x64x64"),
        (("nets.py:Latent", "--arg", "timestep"), "expected NAME=VALUE"),
        (("nets.py:Latent", "--arg", "text=@none.npy"), "cannot read 'none.npy': No such file"),
        (("nets.py:rgb", "--input", "a.png", "--size", "32"), "give --size HxW"),
        (("nets.py:rgb", "--input", "a.png", "--size", "8x8"), "expected at least 16 rows"),
        (("nets.py:rgb", "--input", "a.png", "--size", "32x32", "--crop", "32"), "contradict each other"),
        (("nets.py:rgb", "--input", "a.png", "--noise", "1x3x32x32"), "are both the first argument"),
        (("nets.py:rgb", "--input", "a.png", "--count", "3"), "nothing is: give --noise or --inputs"),
        (("nets.py:Latent", "--inputs", "nets.py:nothing"), "yielded no inputs"),
        (("nets.py:Latent", "--inputs", "nets.py:single"), "returned a Tensor; expected it to yield inputs"),
        (("nets.py:Latent", "--inputs", "nets.py:fails"), "raised OSError: no data set here"),
        (("nets.py:Latent", "--inputs", "nets.py:absent"), "nets.py has no 'absent'"),
        (("nets.py:Latent", "--inputs", "nets.py:SEEN"), "is a list, not a function that yields inputs"),
        (("nets.py:Latent",), "for latents --noise 1x4x64x64, or --inputs file.py:function"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("diagnose", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_the_report_repeats_all_that_was_given() -> None:
    inputs = (
        "--input",
        "a.npy",
        "--noise",
        "1x4x32x32",
        "--noise",
        "text=1x2",
        "--inputs",
        "nets.py:f",
        "--count",
        "2",
    )
    running = ("--arg", "timestep=5", "--arg", "size=[64, 48]", "--gray", "--size", "32x40")
    with diagnose.make_context("diagnose", ["nets.py:Latent", *inputs, *running]) as context:
        again = diagnosed_by(context, "nets.py:Latent", ("b.npy",), Path("report"))
    assert sorted(again.inputs) == sorted((*inputs, "--input", "b.npy"))
    assert sorted(again.running) == sorted(running)


def test_they_stand_in_a_configuration_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['target = "nets.py:Latent"', 'noise = ["1x4x32x32"]', "count = 2", 'arg = ["timestep=5", "size=[1]"]']
    Path("a.toml").write_text("\n".join(["[diagnose]", *lines]))
    calls = seen(monkeypatch, "--config", "a.toml")
    assert len(calls) == 2
    assert calls[0].kwargs == {"timestep": 5, "size": [1]}
    Path("bad.toml").write_text('[diagnose]\ntarget = "nets.py:rgb"\ninput = "a.png"\nsize = "8x8"')
    assert "size in [diagnose]" in run("diagnose", "--config", "bad.toml").stderr


def test_two_models_are_compared_on_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("--noise", "1x4x32x32", "--count", "2", "--arg", "timestep=5")
    arguments = ("compare", "nets.py:Latent", "nets.py:Latent", *given)
    (_, _, calls), _, _ = caught(monkeypatch, "artifactlab.compare_models", *arguments)
    assert [call.kwargs for call in calls] == [{"timestep": 5}] * 2


def test_a_fix_is_judged_on_noise_and_trained_on_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("latents.npy", LATENT.numpy())
    judged = ("--noise", "1x4x32x32", "--count", "2", "--arg", "timestep=5")
    arguments = ("fix", "nets.py:Latent", "-o", "fixed.safetensors", *judged, "--distil", "latents.npy")
    (_, judged_on, *_), options, _ = caught(monkeypatch, "artifactlab.cli.fix.fix_site", *arguments)
    (trained_on,) = options["distil_on"]
    assert len(judged_on) == 2
    assert torch.equal(trained_on.args[0], LATENT)
    assert judged_on[0].kwargs == trained_on.kwargs == {"timestep": 5}


def test_a_fix_without_inputs_of_its_own_is_judged_on_those_of_the_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("latents.npy", LATENT.numpy())
    arguments = ("fix", "nets.py:Latent", "-o", "fixed.safetensors", "--distil", "latents.npy", "--noise", "text=1x2")
    (_, judged_on, *_), options, _ = caught(monkeypatch, "artifactlab.cli.fix.fix_site", *arguments)
    (call,) = judged_on
    assert judged_on is options["distil_on"]
    assert torch.equal(call.args[0], LATENT)
    assert call.kwargs["text"].shape == (1, 2)


def test_a_clip_is_frames_first_or_single_frames_where_the_model_takes_them_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (10, 32, 48, 3), dtype=np.uint8)
    with av.open("clip.mp4", "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())

    failed = run("diagnose", "nets.py:rgb", "--input", "clip.mp4").output
    assert "of files --input-layout NCHW, its frames one by one" in " ".join(failed.split())

    def shapes(*arguments: str) -> list[tuple[int, ...]]:
        given = seen(monkeypatch, "nets.py:rgb", "--input", "clip.mp4", *arguments)
        return [tuple(call.args[0].shape) for call in given]

    assert shapes() == [(1, 3, 10, 32, 48)]
    assert shapes("--input-layout", "NTCHW") == [(1, 10, 3, 32, 48)]
    assert shapes("--input-layout", "NCHW") == [(1, 3, 32, 48)] * 8
    assert shapes("--input-layout", "NCHW", "--count", "3", "--size", "9x16x16") == [(1, 3, 16, 16)] * 3


def test_a_photo_is_no_volume_without_its_batch_axis(folder: Path) -> None:
    cv2.imwrite("photo.png", np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    Path("volumes.py").write_text("from torch import nn\ndef net(): return nn.ConvTranspose3d(1, 1, 4, 2, 1)\n")
    failed = run("diagnose", "volumes.py:net", "--input", "photo.png")
    assert failed.exit_code == 2
    said = " ".join(failed.output.split())
    assert "the input (1, 3, 32, 32) is a picture, and the model's first convolution takes volumes or video" in said
    assert "--probe NAME --size TxHxW" in said


def test_photos_are_gray_to_a_model_whose_first_convolution_takes_one_channel(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite("photo.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    Path("gray.py").write_text(
        "from torch import nn\ndef net(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2))\n"
    )
    done = run("diagnose", "gray.py:net", "--input", "photo.png", "--fast")
    assert done.exit_code == 0, done.output
    assert "images are made gray: the model's first convolution takes one channel" in done.stderr
