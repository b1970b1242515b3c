"""What goes back into the format that a model came in, and what is said where nothing can."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load, load_file, save_file
from torch import nn

import artifactlab
from artifactlab.attribution.sites.records import Site
from artifactlab.fix import replace_upsampler
from artifactlab.fix.back import BACK, Source, Written, back
from artifactlab.fix.back_folder import diffusers_back, transformers_back
from artifactlab.fix.back_weights import weights_back
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.calls import as_calls

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
GRIDDED = f"{Path(__file__).parent / 'decoders.py'}:gridded"
PROBE = artifactlab.make_probe("zone-plate", 64)[:, :1]


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-ins for diffusers and transformers, imported as the packages."""
    names = ("diffusers", "transformers")
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = {name: sys.modules.pop(name, None) for name in names}
    import diffusers
    import transformers

    yield SimpleNamespace(diffusers=diffusers, transformers=transformers)
    for name, module in before.items():
        del sys.modules[name]
        if module is not None:
            sys.modules[name] = module


def fixed(model: nn.Module, name: str, mode: str = "interpolate_conv", cured: bool = False, **options: Any) -> Any:
    """What `fix_site` says of a fix, as far as writers read it, without its diagnoses."""
    copy = full_copy(model)
    image = PROBE if "Decoder" in type(model).__name__ else PROBE.expand(1, 3, -1, -1)
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(image)
    site: Site = next(one.site for one in found.sites if one.site.name == name)
    swap = replace_upsampler(copy, site, mode, **options)
    before = SimpleNamespace(config=SimpleNamespace(data_range=1.0), sites=[SimpleNamespace(site=site)])
    check = SimpleNamespace(sites=(site.key,), period=(2, 2), cured=cured)
    new = [] if swap.replacement.is_refit else [swap.replacement]
    return SimpleNamespace(model=copy, replacements=new, post=None, before=before, check=check)


def source(path: Path, model: nn.Module, **given: Any) -> Source:
    image = PROBE if "Decoder" in type(model).__name__ else PROBE.expand(1, 3, -1, -1).contiguous()
    return Source(path, model, as_calls(image), **given)


def saved(path: Path, **changed: Any) -> nn.Module:
    """A decoder whose weights are in a file; random ones where `noisy`."""
    model = artifactlab.load_model(GRIDDED)
    if changed.get("noisy"):
        torch.manual_seed(0)
        nn.init.normal_(model.up.weight)
    save_file(model.state_dict(), path)
    return model


def test_every_format_that_has_a_writer_has_it_by_the_formats_name() -> None:
    assert {"weights", "spandrel", "diffusers", "transformers"} <= set(BACK)


def test_a_fix_that_the_old_kernel_holds_has_all_names_of_the_file_and_says_what_differs(tmp_path: Path) -> None:
    model = saved(tmp_path / "net.safetensors")
    made = fixed(model, "up", kernel_size=1, cured=True)
    (written,) = back(made, source(tmp_path / "net.safetensors", model), tmp_path / "out.safetensors")
    ((path, content),) = written.files.items()
    assert path == tmp_path / "out.elsewhere.safetensors"
    assert not path.exists()
    assert load(content).keys() == model.state_dict().keys()
    assert written.psnr is not None
    assert written.psnr > 80
    assert written.sentence.endswith("only the image's border differs")


def test_other_weights_for_the_layer_itself_are_the_file_once_more_with_them_in_it(tmp_path: Path) -> None:
    model = artifactlab.load_model(GRIDDED)
    torch.save({"params": model.state_dict()}, tmp_path / "net.pth")
    made = fixed(model, "up", "blur", cured=True)
    (written,) = back(made, source(tmp_path / "net.pth", model), tmp_path / "out.safetensors")
    assert written.sentence.endswith("for programs that load " + str(tmp_path / "net.pth") + ": the same")
    ((path, content),) = written.files.items()
    path.write_bytes(content)
    again = torch.load(path, weights_only=True)
    assert again["params"].keys() == model.state_dict().keys()
    assert all(torch.equal(value, made.model.state_dict()[name]) for name, value in again["params"].items())


def test_what_is_too_far_is_not_written_and_a_layer_that_fits_is_named(tmp_path: Path) -> None:
    model = saved(tmp_path / "net.safetensors", noisy=True)
    origin = source(tmp_path / "net.safetensors", model, target="net.py:make", kwargs={"strength": 1})
    (written,) = weights_back(fixed(model, "up"), origin, Path("out.safetensors"))
    assert not written.files
    assert written.psnr is not None
    assert written.psnr < 35
    assert f"cannot hold the new layer ({written.psnr:.1f} dB from it at best, and 35 dB are needed" in written.sentence
    assert "it could with --options '{\"kernel_size\": 1}')" in written.sentence
    line = "artifactlab.load_model('net.py:make', {'strength': 1}, checkpoint=Path('out.safetensors'))"
    assert written.sentence.endswith(line)
    (written,) = weights_back(fixed(model, "up", kernel_size=1), origin, Path("out.safetensors"))
    assert written.files


def test_a_cure_that_is_none_any_more_in_the_old_layer_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved(tmp_path / "net.safetensors")
    again = SimpleNamespace(cured=False, verdict="Not fixed: 3% of the grid went.")
    monkeypatch.setattr("artifactlab.fix.held.check_fix", lambda *given, **settings: again)
    origin = source(tmp_path / "net.safetensors", model)
    for cured in (True, False):
        (written,) = weights_back(fixed(model, "up", cured=cured), origin, Path("out.safetensors"))
        assert bool(written.files) != cured
    made = fixed(model, "up", cured=True)
    (written,) = weights_back(made, origin, Path("out.safetensors"))
    assert "from it they are no fix: not fixed: 3% of the grid went)" in written.sentence


def test_a_weight_that_is_not_in_the_file_is_said(tmp_path: Path) -> None:
    model = saved(tmp_path / "net.safetensors")
    save_file({"other": torch.zeros(1)}, tmp_path / "net.safetensors")
    origin = source(tmp_path / "net.safetensors", model)
    (written,) = weights_back(fixed(model, "up", kernel_size=1), origin, Path("out.safetensors"))
    assert not written.files
    assert "up.weight is nowhere in the file" in written.sentence


def of_folder(library: Any, folder: Path, out: Path, name: str, **options: Any) -> Written:
    """What becomes of a folder that its library has saved, as a stand-in opens it."""
    model = artifactlab.load_model(str(folder))
    write = diffusers_back if library.__name__ == "diffusers" else transformers_back
    (written,) = write(fixed(model, name, **options), source(folder, model), out / "artifactlab.safetensors")
    return written


def test_a_component_comes_back_as_a_folder_of_one_model_in_its_variant(tmp_path: Path, libraries: Any) -> None:
    libraries.diffusers.AutoencoderKL().save_pretrained(tmp_path / "pipe" / "vae", variant="fp16")
    (tmp_path / "pipe" / "model_index.json").write_text(
        json.dumps({"_class_name": "P", "vae": ["diffusers", "AutoencoderKL"]})
    )
    written = of_folder(libraries.diffusers, tmp_path / "pipe", tmp_path / "out", "decoder.1", kernel_size=1)
    assert [path.name for path in written.files] == ["config.json", "diffusion_pytorch_model.fp16.safetensors"]
    assert {path.parent for path in written.files} == {tmp_path / "out"}
    assert f"{tmp_path / 'out'} is opened like {tmp_path / 'pipe' / 'vae'}" in written.sentence


def test_pickled_weights_come_back_as_safe_ones(tmp_path: Path, libraries: Any) -> None:
    model = libraries.diffusers.AutoencoderKL()
    model.save_pretrained(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    written = of_folder(libraries.diffusers, tmp_path, tmp_path / "out", "decoder.1", kernel_size=1)
    content = written.files[tmp_path / "out" / "diffusion_pytorch_model.safetensors"]
    assert load(content).keys() == model.state_dict().keys()


def test_a_folder_of_transformers_keeps_its_image_processor(tmp_path: Path, libraries: Any) -> None:
    model = libraries.transformers.DPTForDepthEstimation()
    nn.init.constant_(model.up.weight, 0.01)  # little contrast, of which the nearest kernel is near enough
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_rescale": true}')
    written = of_folder(libraries.transformers, tmp_path, tmp_path / "out", "up", kernel_size=1)
    names = ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert [path.name for path in written.files] == [names[0], names[2], names[1]]
    assert written.files[tmp_path / "out" / names[2]] == b'{"do_rescale": true}'
    assert load_file(tmp_path / names[1]).keys() == load(written.files[tmp_path / "out" / names[1]]).keys()


def test_a_folder_that_cannot_hold_the_fix_has_nothing_of_the_librarys(tmp_path: Path, libraries: Any) -> None:
    torch.manual_seed(0)
    libraries.diffusers.AutoencoderKL().save_pretrained(tmp_path)
    model = artifactlab.load_model(str(tmp_path))
    made = fixed(model, "decoder.1", "carafe")
    for weight in made.model.get_submodule("decoder.1").parameters():
        nn.init.normal_(weight)
    (written,) = diffusers_back(made, source(tmp_path, model), tmp_path / "out" / "artifactlab.safetensors")
    assert not written.files
    assert "is no convolution" in written.sentence


def test_weights_alone_of_a_folder_say_how_to_get_a_folder(tmp_path: Path, libraries: Any) -> None:
    libraries.diffusers.AutoencoderKL().save_pretrained(tmp_path)
    model = artifactlab.load_model(str(tmp_path))
    (written,) = diffusers_back(fixed(model, "decoder.1"), source(tmp_path, model), Path("out.safetensors"))
    assert written.sentence == f"for a folder that is opened like {tmp_path}, give the name of a new folder for -o"
