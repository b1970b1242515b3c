"""A filter behind the output: what it takes out, what it keeps, and that it loads again."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import load_model
from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix import Fix, fix_site, save_fixed
from artifactlab.fix.back import Source
from artifactlab.fix.back_graphs import exported_back
from artifactlab.fix.back_weights import weights_back
from artifactlab.fix.lattice_filter_fit import fitted_taps
from artifactlab.fix.post_filter import PostFilter
from artifactlab.fix.post_filtered import LatticeFilter, PostFiltered, with_tensor
from artifactlab.models.calls import as_calls
from artifactlab.models.exported_program import as_modules

Named = namedtuple("Named", "image depth")


@dataclass
class Record:
    image: Tensor
    depth: Tensor


@pytest.fixture(scope="module")
def filtered(decoders: ModuleType) -> Fix:
    """The decoder that draws a grid, with a filter behind it."""
    return fix_site(decoders.gridded(), decoders.images(1), post=True)


def test_the_grid_goes_and_the_image_stays_and_no_layer_changes(filtered: Fix, decoders: ModuleType) -> None:
    assert filtered.check.cured, filtered.check.verdict
    assert filtered.check.psnr > 50
    assert filtered.swaps == ()
    assert filtered.replacements == []
    assert filtered.post == PostFilter("output", (2, 2), (5, 5))
    before = decoders.gridded().state_dict()
    after = filtered.model.state_dict()
    assert after.keys() == {*(f"model.{name}" for name in before), "filter.taps"}
    assert all(torch.equal(after[f"model.{name}"], value) for name, value in before.items())
    assert "5x5 taps with zeros at the lattice of period 2x2; no layer changed" in str(filtered.post)


@pytest.mark.parametrize("period", [(2, 2), (3, 3), (1, 4), (4,), (2, 1, 2)])
def test_flat_areas_stay_every_constant_grid_goes_and_nothing_moves(period: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = tuple(2 * p + 1 if p > 1 else 1 for p in period)
    space = [48 if len(period) < 3 else 24] * len(period)
    taps = fitted_taps([torch.rand(1, 2, *space, generator=generator)], period, sizes, 1.0)
    made = LatticeFilter(sizes).double()
    made.taps.copy_(taps[None, None])
    pattern = torch.rand(period, generator=generator).double()
    repeats = [-(-size // p) for size, p in zip(space, period, strict=True)]
    grid = pattern.repeat(repeats)[tuple(map(slice, space))][None, None]
    inside = (..., *[slice(8, -8)] * len(period))
    answer = made(grid)[inside]
    torch.testing.assert_close(answer, pattern.mean().expand(answer.shape), rtol=0, atol=1e-9)
    assert torch.allclose(taps, taps.flip(list(range(taps.ndim))))


def test_content_between_the_lattices_frequencies_stays_as_no_separable_filter_leaves_it() -> None:
    """A grating on a line of the lattice's frequencies, far from all of its points."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    noise = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    made = LatticeFilter((13, 13))
    made.taps.copy_(fitted_taps([noise], (4, 4), (13, 13), 1.0)[None, None])
    grating, board = (0.5 + 0.1 * torch.cos(2 * torch.pi * (x / 4 + y * f))[None, None] for f in (1 / 8, 0.0))
    kept, left = ((made(image) - 0.5)[..., 8:-8, 8:-8].std() / (image - 0.5).std() for image in (grating, board))
    assert left < 1e-4 < 0.6 < kept


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y, z: y,
        lambda y, z: (z[:, :, ::2, ::2], y),
        lambda y, z: [y, z[..., :3]],
        lambda y, z: {"image": y, "mask": None},
        lambda y, z: OrderedDict(image=y),
        lambda y, z: Named(y, z[..., ::2]),
        lambda y, z: Record(y, z[..., ::2]),
    ],
    ids=["tensor", "tuple", "list", "dict", "OrderedDict", "namedtuple", "dataclass"],
)
def test_what_a_model_returns_keeps_its_form(wrap: Any) -> None:
    class Wrapping(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return wrap(x, x + 1)

    x = torch.rand(1, 3, 16, 16)
    made = Wrapping()
    judged = artifactlab.models.outputs.judged_in(made(x))
    blur = nn.AvgPool2d(3, 1, 1)
    returned = PostFiltered(made, blur, judged.path)(x)
    assert type(returned) is type(made(x))
    assert torch.equal(judged.tensor(returned), blur(x))
    untouched = with_tensor(returned, torch.zeros(1), torch.ones(1))
    assert torch.equal(judged.tensor(untouched), blur(x))


def test_it_loads_again_from_the_file_and_may_be_fixed_once_more(
    filtered: Fix, decoders: ModuleType, decoders_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "fixed.safetensors"
    save_fixed(path, filtered.model, filtered.changes)
    again = load_model(f"{decoders_file}:gridded", checkpoint=path)
    assert isinstance(again, PostFiltered)
    x = decoders.images(1)[0]
    with torch.no_grad():
        assert torch.equal(again(x), filtered.model(x))
    twice = fix_site(again, decoders.images(1), "model.up")
    save_fixed(path, twice.model, [*filtered.changes, *twice.changes])
    loaded = load_model(f"{decoders_file}:gridded", checkpoint=path)
    with torch.no_grad():
        assert torch.equal(loaded(x), twice.model(x))


@pytest.mark.parametrize(
    "entry",
    [{"post": "output"}, {"post": 1, "period": [2], "sizes": [4]}, {"post": "o", "period": [2], "sizes": [9999]}],
)
def test_a_damaged_header_is_no_filter(entry: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no filter that artifactlab wrote"):
        PostFilter.from_dict(entry)


def test_other_programs_cannot_hold_it_in_weights_and_that_is_said(
    filtered: Fix, decoders: ModuleType, tmp_path: Path
) -> None:
    torch.save(decoders.gridded().state_dict(), tmp_path / "net.pth")
    origin = Source(tmp_path / "net.pth", decoders.gridded(), as_calls(decoders.images(1)))
    (written,) = weights_back(filtered, origin, tmp_path / "out.safetensors")
    assert not written.files
    assert "cannot hold it (a filter stands behind the output, where the model has no layer)" in written.sentence


def test_an_exported_program_is_one_with_the_filter_in_it(decoders: ModuleType, tmp_path: Path) -> None:
    images = decoders.images(1)
    side = torch.export.Dim("side", min=16)
    program = torch.export.export(decoders.gridded(), (images[0],), dynamic_shapes=({2: side, 3: side},))
    model = as_modules(program)
    made = fix_site(model, images, post=True)
    (written,) = exported_back(made, Source(tmp_path / "net.pt2", model, as_calls(images)), tmp_path / "o.safetensors")
    assert "it has a filter behind its output" in written.sentence
    ((path, content),) = written.files.items()
    path.write_bytes(content)
    opened = torch.export.load(path).module()
    for image in (images[0], images[0][..., :48, :48]):
        with torch.no_grad():
            torch.testing.assert_close(opened(image), made.model(image), rtol=1e-4, atol=1e-5)


def test_what_no_filter_is_for_is_refused(decoders: ModuleType) -> None:
    class Labels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = decoders.gridded(0.6)

        def forward(self, x: Tensor) -> Tensor:
            return (20 * self.net(x)).long()[:, 0]

    with pytest.raises(FixError, match="holds labels of layout NHW; a filter is for numbers"):
        fix_site(Labels(), decoders.images(1), "net.up", post=True)
    with pytest.raises(InputError, match="the filter takes real numbers with 2 axes"):
        LatticeFilter((3, 3))(torch.zeros(4))
    with pytest.raises(ModelError):
        PostFiltered(nn.Identity(), nn.Identity(), "depth")(torch.rand(1, 1, 8, 8))
