"""A `.pt2` file is opened with the modules it was exported from, and nothing in it runs."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError, ModelError, load_model
from artifactlab.fix.back import Source
from artifactlab.fix.back_graphs import exported_back
from artifactlab.fix.pipeline import fix_site
from artifactlab.fix.replace import replace_upsampler
from artifactlab.models import torch_internals
from artifactlab.models.calls import as_calls
from artifactlab.models.export_archive import check_exported
from artifactlab.models.exported_program import as_modules, quietly
from artifactlab.models.size_formulas import is_formula


class Decoder(nn.Module):
    """Every way in which a graph enlarges an image, two of them at the root."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.up = nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 12, 4, 2, 1)
        self.leave = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.up(F.avg_pool2d(self.enter(x), 2)))
        n, _, h, w = y.shape
        y = y.view(n, 3, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, 3, 2 * h, 2 * w)
        y = F.interpolate(y[..., 1:-1, 1:-1], size=(2 * h, 2 * w), mode="bilinear", align_corners=False)
        return torch.sigmoid(self.leave(y))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Decoder().eval()


@pytest.fixture(scope="module")
def file(model: nn.Module, tmp_path_factory: Any) -> Path:
    """Saved under a name that says nothing."""
    path = tmp_path_factory.mktemp("exported") / "decoder.weights"
    size = torch.export.Dim("size", min=16)
    with quietly(), path.open("wb") as stream:
        shapes = {"x": {2: 2 * size}}
        torch.export.save(torch.export.export(model, (torch.rand(1, 3, 32, 32),), dynamic_shapes=shapes), stream)
    return path


def test_a_program_is_opened_with_the_names_and_weights_of_its_modules(file: Path, model: nn.Module) -> None:
    opened, x = load_model(str(file)), torch.rand(1, 3, 48, 32)
    assert {name for name, _ in model.named_modules()} <= {name for name, _ in opened.named_modules()}
    assert all(value.equal(model.state_dict()[key]) for key, value in opened.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(opened(x), model(x))


def test_its_sites_periods_and_verdicts_are_those_of_the_module(file: Path, model: nn.Module) -> None:
    x = torch.rand(1, 3, 32, 32)
    ours, theirs = (artifactlab.diagnose(m, x, data_range=1.0, fast=True) for m in (model, load_model(str(file))))
    assert [s.site for s in theirs.sites] == [s.site for s in ours.sites]
    assert [s.verdict for s in theirs.sites] == [s.verdict for s in ours.sites]
    assert {s.site.key for s in theirs.sites} == {"up/conv_transpose2d#0", "reshape#0", "leave.0/interpolate#0"}


def test_what_lint_finds_in_it_is_what_it_finds_in_the_module(file: Path, model: nn.Module) -> None:
    ours, theirs = artifactlab.lint(model, trained=True), artifactlab.lint(load_model(str(file)), trained=True)
    assert theirs == ours
    assert {(found.site, found.rule) for found in theirs} >= {("up", "unequal-sums")}


class Calls(nn.Module):
    """Both calls that enlarge stand in the forward, where Python has no module to replace."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.leave = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(F.interpolate(F.pixel_shuffle(self.up(x), 2), scale_factor=2.0))


@pytest.fixture(scope="module")
def calls() -> nn.Module:
    torch.manual_seed(0)
    size = torch.export.Dim("size", min=8)
    with quietly():
        program = torch.export.export(Calls().eval(), (torch.rand(1, 3, 32, 24),), dynamic_shapes={"x": {2: size}})
    return as_modules(program)


@pytest.mark.parametrize(
    ("site", "paths"),
    [("pixel_shuffle#0", ("up", "pixel_shuffle")), ("interpolate#0", ("upsample_nearest2d", "leave"))],
)
def test_a_call_in_a_graph_is_replaced_as_a_module_with_its_convolution(
    calls: nn.Module, site: str, paths: tuple[str, ...]
) -> None:
    fixed = copy.deepcopy(calls)
    made = replace_upsampler(fixed, site).replacement
    assert made.paths == paths
    x = torch.rand(1, 3, 16, 24)
    again = copy.deepcopy(calls)
    made.install(again, made.build())
    again.load_state_dict(fixed.state_dict())
    with torch.no_grad():
        assert fixed(x).shape == calls(x).shape
        assert not torch.allclose(fixed(x), calls(x), atol=1e-3)
        torch.testing.assert_close(again(x), fixed(x))


def test_a_graph_whose_call_cannot_be_replaced_stays_as_it_was(calls: nn.Module) -> None:
    model = copy.deepcopy(calls)
    names = [name for name, _ in model.named_modules()]
    with pytest.raises(InputError, match="expected one of"):
        replace_upsampler(model, "interpolate#0", "nothing")
    assert [name for name, _ in model.named_modules()] == names


@pytest.fixture(scope="module")
def fixed_file(calls: nn.Module, tmp_path_factory: Any) -> tuple[Path, nn.Module, str]:
    """A fixed program written back: the file, the fixed model, and what is said about it."""
    folder = tmp_path_factory.mktemp("fixed")
    (folder / "model.pt2").write_bytes(b"")
    x = torch.rand(1, 3, 32, 24)
    made = fix_site(calls, x, "pixel_shuffle#0")
    (written,) = exported_back(made, Source(folder / "model.pt2", calls, as_calls(x)), folder / "fixed.safetensors")
    ((path, content),) = written.files.items()
    path.write_bytes(content)
    return path, made.model, written.sentence


def test_what_is_written_back_is_the_fixed_model_at_the_sizes_of_the_original(fixed_file: Any) -> None:
    path, fixed, sentence = fixed_file
    assert path.name == "fixed.pt2"
    assert "architecture changed at up, which is interpolate_conv now" in sentence
    run = torch.export.load(path).module()
    for height in (32, 48):
        x = torch.rand(1, 3, height, 24)
        with torch.no_grad():
            torch.testing.assert_close(run(x), fixed(x))


def test_it_is_opened_again_with_a_site_for_each_of_its_resizes(fixed_file: Any) -> None:
    sites = artifactlab.diagnose(load_model(str(fixed_file[0])), torch.rand(1, 3, 32, 24), fast=True).sites
    assert [site.site.op for site in sites] == ["interpolate", "interpolate"]


def test_an_older_torch_is_told_what_is_needed(file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    with pytest.raises(ModelError, match=r"need torch 2\.8 or newer, and this is 2\.6\.0\+cpu"):
        load_model(str(file))


def test_an_input_of_another_size_than_it_was_exported_for_is_refused_with_that_size() -> None:
    with quietly():
        model = as_modules(torch.export.export(nn.Upsample(scale_factor=2), (torch.rand(1, 3, 24, 32),)))
    with pytest.raises(ModelError, match=r"inputs of shape 1x3x24x32 alone: crop them, --size 24x32, one at a time"):
        artifactlab.diagnose(model, torch.rand(1, 3, 64, 64))


def test_arguments_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match="takes no --kwargs, got 'width'"):
        load_model(str(file), {"width": 3})


Change = Callable[[Any], Any]


def rewritten(file: Path, path: Path, record: str = "", change: Change | None = None, extra: str = "") -> Path:
    """A copy of the file with one of its records changed, or another one beside them."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        root = old.namelist()[0].split("/")[0]
        for name in old.namelist():
            content = old.read(name)
            if change and name == f"{root}/{record}":
                content = change(content)
            new.writestr(name, content)
        if extra:
            new.writestr(f"{root}/{extra}", b"\x7fELF")
    return path


def in_json(change: Callable[[Any], None]) -> Change:
    def changed(content: bytes) -> bytes:
        parsed = json.loads(content)
        change(parsed)
        return json.dumps(parsed).encode()

    return changed


def pickled(entry: Any) -> None:
    entry["config"]["up.weight"]["use_pickle"] = True


def enlarged(entry: Any) -> None:
    entry["config"]["up.weight"]["tensor_meta"]["sizes"][0] = {"as_int": 10**12}


def calls_a_shell(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def opens_a_file(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def evaluates(model: Any) -> None:
    model["range_constraints"]["__import__('os').getcwd()"] = {"min_val": 1, "max_val": 2}


def imports(model: Any) -> None:
    layout = {"type": "collections.defaultdict", "context": '{"default_factory_module": "antigravity"}'}
    model["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, layout])


def with_code(content: bytes) -> bytes:
    stream = io.BytesIO()
    torch.save({"inputs": exec}, stream)
    return stream.getvalue()


TABLE, MODEL = "data/weights/model_weights_config.json", "models/model.json"
HOSTILE: dict[str, tuple[str, Change | None, str, str]] = {
    "pickled weights": (TABLE, in_json(pickled), "", "pickled objects"),
    "weights of any size": (TABLE, in_json(enlarged), "", "more weights than its bytes can hold"),
    "a shell": (MODEL, in_json(calls_a_shell), "", r"calls 'torch\.os\.system'"),
    "a file": (MODEL, in_json(opens_a_file), "", r"calls 'torch\.ops\.aten\.from_file\.default'"),
    "a size that is code": (MODEL, in_json(evaluates), "", "which is no formula of sizes"),
    "a module to import": (MODEL, in_json(imports), "", "classes that would be imported"),
    "inputs that are code": ("data/sample_inputs/model.pt", with_code, "", "needs unpickling"),
    "compiled code": ("", None, "data/aotinductor/model/model.so", "compiled code"),
    "a pickled object": ("", None, "data/constants/opaque_obj_0", "does not write"),
}
"""What torch's own reader would run or believe -> a record, its change, one that is added, the error."""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_or_fill_the_memory_is_refused(file: Path, tmp_path: Path, name: str) -> None:
    record, change, extra, message = HOSTILE[name]
    with pytest.raises(ModelError, match=message) as error:
        load_model(str(rewritten(file, tmp_path / "hostile.pt2", record, change, extra)))
    assert "\n" not in str(error.value)


def test_the_same_file_with_nothing_changed_is_accepted(file: Path, tmp_path: Path) -> None:
    check_exported(rewritten(file, tmp_path / "same.pt2"))


def test_a_bomb_of_zeros_is_refused_before_it_is_unpacked(file: Path, tmp_path: Path) -> None:
    path = rewritten(file, tmp_path / "bomb.pt2")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as records:
        records.writestr("decoder/extra/zeros", bytes(1 << 20))
    with pytest.raises(ModelError, match="compressed"):
        load_model(str(path))


def test_a_program_that_makes_far_larger_tensors_than_nets_is_refused_before_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "giant.pt2"
    torch.export.save(torch.export.export(nn.Upsample(scale_factor=4096), (torch.rand(1, 3, 8, 8),)), path)
    with pytest.raises(ModelError, match="makes far larger tensors of its example than nets do"):
        load_model(str(path))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("s0", True),
        ("2*s77 + 1", True),
        ("Mul(Integer(2), Symbol('s0', positive=True, integer=True))", True),
        ("FloorDiv(Add(Symbol('u0', integer=True), Integer(-1)), Integer(2))", True),
        ("Pow(Symbol('s0'), Integer(2))", True),
        ("9**9**9", False),
        ("Pow(Integer(9), Pow(Integer(9), Integer(9)))", False),
        ("(((9**8)**8)**8)**8", False),
        ("exec(s0)", False),
        ("s0.__class__", False),
        ("[s0 for s0 in s1]", False),
        ("Symbol('__import__')", False),
        ("lambda: s0", False),
        ("(" * 500, False),
        ("s0+" * 9999 + "s0", False),
    ],
)
def test_formulas_of_sizes_are_told_from_code(text: str, is_one: bool) -> None:
    assert is_formula(text) is is_one


def test_operators_have_the_name_of_their_packet_and_functions_have_none() -> None:
    assert torch_internals.operator_name(torch.ops.aten.slice.Tensor) == "aten::slice"
    assert torch_internals.operator_name(torch.ops.aten.slice) == "aten::slice"
    assert torch_internals.operator_name(F.conv2d) is None
