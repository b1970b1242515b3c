"""Files of weights alone are opened by what spandrel knows of them, and read as data before it sees them."""

from __future__ import annotations

import copy
import io
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spandrel_stand_in
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from artifactlab import ModelError, load_model
from artifactlab.models.budget import MemoryBudget
from artifactlab.models.formats import format_of
from artifactlab.models.image_needs import ImageNeeds, needs_of

ALLOWED = 256 << 10
"""KiB that a hostile file may cost: half of it are modules that torch imports when it first reckons without memory"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    spandrel_stand_in.install(tmp_path / "site", monkeypatch)


def weights(channels: int = 3, blocks: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {"conv.weight": torch.randn(4 * channels, channels, 3, 3, generator=generator)}
    made["conv.bias"] = torch.randn(4 * channels, generator=generator)
    for block in range(blocks):
        made[f"body.{block}.weight"] = torch.randn(channels, channels, 1, 1, generator=generator)
        made[f"body.{block}.bias"] = torch.zeros(channels)
    return made


def saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", ["4x-foo.pth", "4x-foo", "photo.png"])
@pytest.mark.parametrize(
    "content",
    [
        lambda: saved(weights()),
        lambda: saved({"params_ema": weights(), "step": 7}),
        lambda: saved({"params-ema": weights()}),
        lambda: saved({"net": {f"module.{key}": value for key, value in weights().items()}}),
        lambda: saved(weights(), _use_new_zipfile_serialization=False),
        lambda: save(weights()),
    ],
    ids=["plain", "ema", "ema by a dash", "data parallel", "before torch 1.6", "safetensors"],
)
def test_weights_are_opened_by_what_the_file_holds(content: Any, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content())
    model = load_model(str(tmp_path / name))
    assert {key: value.tolist() for key, value in model.state_dict().items()} == {
        key: value.tolist() for key, value in weights().items()
    }
    assert type(model).__name__ == "Tiny"
    assert not model.training


def test_what_holds_no_weights_is_of_no_format(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as file:  # as torch.jit.save writes one
        for record in ("data.pkl", "code/__torch__.py", "constants.pkl"):
            file.writestr(f"program/{record}", b"")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("a.png", b"a")
    for name, content in {"empty": b"", "text": b"hello", "image": b"\x89PNG\r\n\x1a\n" + bytes(99)}.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.pth")
    os.mkdir(tmp_path / "folder.pth")
    known = {path.name: format_of(path) for path in sorted(tmp_path.iterdir()) if path.name != "site"}
    assert known.pop("program.pt") == "torchscript"
    assert known == dict.fromkeys(["empty", "folder.pth", "image", "photos.zip", "pipe.pth", "text"])


def test_a_file_cut_in_the_middle_is_damaged_weights(tmp_path: Path) -> None:
    for content in (saved(weights()), saved(weights(), _use_new_zipfile_serialization=False)):
        (tmp_path / "x.pth").write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelError, match=r"x\.pth cannot be read"):
            load_model(str(tmp_path / "x.pth"))


def test_unknown_weights_are_refused_with_what_is_in_them_and_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_file({f"decoder.{n}": torch.zeros(1) for n in range(5)}, path)
    with pytest.raises(ModelError) as error:
        load_model(str(path))
    assert str(error.value) == (
        f"{path} holds weights alone (5 tensors, decoder.0, decoder.1, decoder.2, ...), of no model that spandrel"
        f" knows; name what makes the model: path/to/file.py:factory --checkpoint {path}"
    )


def test_weights_that_are_taken_for_a_model_and_are_none_say_why(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"conv.weight": torch.zeros(12, 3, 3, 3)}, path)
    with pytest.raises(ModelError, match=r"it cannot be made \(RuntimeError: .*Missing key.*conv\.bias.*--checkpoint"):
        load_model(str(path))


def test_without_spandrel_the_command_that_installs_it_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    spandrel_stand_in.uninstall(monkeypatch)
    save_file(weights(), tmp_path / "x.safetensors")
    with pytest.raises(
        ModelError, match=r"by them: pip install 'artifactlab\[spandrel\]'; for others, name what makes"
    ):
        load_model(str(tmp_path / "x.safetensors"))


def test_a_spandrel_that_cannot_be_imported_says_so(tmp_path: Path, monkeypatch: Any) -> None:
    spandrel_stand_in.install(tmp_path / "site", monkeypatch, "raise RuntimeError('no operator torchvision::nms')")
    save_file(weights(), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"\(it is there, but no operator torchvision::nms\)"):
        load_model(str(tmp_path / "x.safetensors"))


def test_a_file_takes_no_arguments(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"takes no --kwargs, got 'scale'"):
        load_model(str(tmp_path / "x.safetensors"), {"scale": 2})


def test_what_the_descriptor_says_of_images_is_known_of_the_model(tmp_path: Path) -> None:
    save_file(weights(channels=1), tmp_path / "x.safetensors")
    known: dict[str, Any] = {"precisions": ("float32", "float64", "bfloat16"), "crops": False, "value_range": "0,1"}
    expected = ImageNeeds("Tiny 2x", 1, minimum=16, multiple_of=8, **known)
    assert needs_of(load_model(str(tmp_path / "x.safetensors"))) == expected
    assert needs_of(nn.Identity()) is None


FACTORY = """
import spandrel, torch
def add_noise(model, image):
    return model(torch.cat([image, image[:, :1]], 1)) * model.gain
def make():
    model = spandrel.Tiny(3, 1)
    return spandrel.ImageModelDescriptor(model, 3, square=True)
def called():
    model = spandrel.Tiny(4, 1)
    model.gain = 2.0
    return spandrel.ImageModelDescriptor(model, 3, add_noise)
"""


def test_a_factory_may_return_a_descriptor(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(FACTORY)
    model = load_model(f"{tmp_path / 'zoo.py'}:make")
    needs = needs_of(model)
    assert type(model).__name__ == "Tiny"
    assert needs is not None
    assert needs.square


def test_a_model_is_called_as_its_descriptor_calls_it_and_keeps_its_names(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(FACTORY)
    model = load_model(f"{tmp_path / 'zoo.py'}:called")
    image = torch.rand(1, 3, 16, 16)
    given = torch.cat([image, image[:, :1]], 1)
    torch.testing.assert_close(model(image), 2 * model.shuffle(model.conv(given)))
    other = copy.deepcopy(model)
    nn.init.zeros_(other.conv.weight)
    torch.testing.assert_close(other(image), 2 * other.conv.bias.view(1, 4, 2, 2).tile(1, 1, 16, 16))
    assert set(model.state_dict()) == set(weights())


MASKED = """
import spandrel, torch
class MaskedImageModelDescriptor(spandrel.ImageModelDescriptor):
    pass
class Inpainter(spandrel.Tiny):
    def forward(self, image, mask):
        return super().forward(torch.cat([image * (1 - mask), mask], 1))
def make():
    return MaskedImageModelDescriptor(Inpainter(4, 1), 3, lambda model, image, mask: model(image, mask))
"""


def test_a_model_that_fills_in_holes_is_given_a_hole_in_the_middle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "zoo.py").write_text(MASKED)
    model = load_model(f"{tmp_path / 'zoo.py'}:make")
    image = torch.rand(1, 3, 16, 32)
    mask = torch.zeros(1, 1, 16, 32)
    mask[..., 4:12, 8:24] = 1
    expected = model.shuffle(model.conv(torch.cat([image * (1 - mask), mask], 1)))
    assert torch.equal(model(image), expected)
    assert torch.equal(model(image, mask=mask), expected)
    assert not torch.equal(model(image, mask=1 - mask), expected)
    assert "Tiny fills in what a mask covers, here the middle; another: --arg mask=@FILE" in caplog.text


def test_four_channels_are_colour_and_how_opaque_it_is(tmp_path: Path) -> None:
    save_file(weights(channels=4), tmp_path / "x.safetensors")
    needs = needs_of(load_model(str(tmp_path / "x.safetensors")))
    assert needs is not None
    assert (needs.channels, needs.alpha) == (4, True)


class Calls:
    """Pickled as a call."""

    def __reduce__(self) -> tuple[Any, Any]:
        return os.mkdir, ("planted",)


def zip_bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(weights()))) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            bomb = name.endswith("data/0")
            new.writestr(name, bytes(1 << 27) if bomb else old.read(name), zipfile.ZIP_DEFLATED if bomb else 0)
    return made.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a pickle with code": lambda: pickle.dumps(Calls(), 2),
    "code beside weights": lambda: saved({"state_dict": weights(), "hook": Calls()}),
    "a zip bomb": zip_bomb,
    "one number a billion times": lambda: saved(weights() | {"conv.weight": torch.zeros(1).expand(12, 3, 5000, 5000)}),
    "one block ten million times": lambda: saved(weights() | {"body.9999999.weight": torch.zeros(3, 3, 1, 1)}),
    "few numbers of many channels": lambda: saved({"conv.weight": torch.zeros(1, 1 << 17, 1, 1)}),
    "a safetensors header of any size": lambda: (1 << 40).to_bytes(8, "little") + b'{"a":1}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_file_runs_and_no_size_is_believed(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(HOSTILE[name]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError):
        load_model("x.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(1 << 20),
        lambda: torch.arange(1 << 19),
        lambda: torch.zeros(1024, 1)[None] - torch.zeros(1, 1024),
        lambda: [nn.Conv2d(1, 1, 1) for _ in range(1000)],
        lambda: torch.zeros(1).expand(1 << 20).clone(),
    ],
    ids=["empty", "arange", "a table of differences", "many small ones", "a copy of a view"],
)
def test_what_takes_more_than_the_budget_is_not_made(make: Any) -> None:
    with pytest.raises(ModelError, match="too large"), MemoryBudget((1 << 22) - 1, "too large"):
        make()


def test_views_writes_and_what_values_decide_cost_nothing() -> None:
    x = torch.rand(1 << 20)
    with MemoryBudget(1 << 16, "too large"):
        for _ in range(100):
            x.view(1024, 1024).mul_(2)
        assert int(x.view(1024, 1024)[0, 0] > -1) == 1
