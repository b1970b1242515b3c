"""Models as the files of graphs that they are shipped in: is everything the same as with the Python module?

Exports each of ten decoders as `.pt2`, TorchScript and ONNX, opens the file as a user would, and compares with the
module in Python: the diagnosis, what lint finds, and what is left after a site is fixed. What was fixed is written
back, opened by `torch.export.load` or `onnxruntime` alone, and compared with the fixed model. ONNX needs
`pip install 'artifactlab[onnx]'`; without it, those rows are left out.

    python benchmarks/model_files_graphs.py [FORMAT...]
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from architectures_torchvision import provide_operators
from graph_nets import BY_MODULES, NETS
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import ArtifactLabError
from artifactlab.fix.back import Source, back
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.pipeline import Fix, fix_site
from artifactlab.models.calls import as_calls

LIKE = 1e-3
"""Largest relative difference of severities that counts as the same: graphs add up in another order."""
BORDER = 8
"""Pixels along the border in which weights alone may do otherwise than a new layer that pads otherwise."""


def main() -> None:
    """Print a row for each net in each format."""
    formats = FORMATS if importlib.util.find_spec("onnx") else {k: v for k, v in FORMATS.items() if k != "onnx"}
    if "onnx" in formats:
        provide_operators()
    print(f"{'net':22}{'format':10}{'diagnosis':20}{'lint':12}{'fix':18}{'written back'}")
    for net in NETS:
        for name in sys.argv[1:] or formats:
            print(f"{net:22}{name:10}{row(net, formats[name])}", flush=True)


def row(net: str, save: Callable[[nn.Module, Tensor, Path], None]) -> str:
    """What the saved model has in common with the module."""
    make, shape = NETS[net]
    torch.manual_seed(0)
    model, x = make().eval(), torch.rand(shape)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.bin"
        save(model, x, path)
        try:
            opened = artifactlab.load_model(str(path), kwargs_of(save, x))
            ours, theirs = diagnosed(model, x), diagnosed(opened, x)
            words = [likeness(ours, theirs), "same" if lints(model) == lints(opened) else "other"]
            words += fixed(net, model, Source(path, opened, as_calls(x)), ours, theirs)
            return "".join(f"{word:{width}}" for word, width in zip(words, (20, 12, 18, 0), strict=True))
        except ArtifactLabError as error:
            return f"refused: {error}"[:60]


def kwargs_of(save: Any, x: Tensor) -> dict[str, Any]:
    """What TorchScript does not say."""
    return {"shape": list(x.shape)} if save in (save_traced, save_scripted) else {}


def diagnosed(model: nn.Module, x: Tensor) -> artifactlab.Diagnosis:
    """A diagnosis in the layout of the input."""
    return artifactlab.diagnose(model, x, data_range=1.0, layout="NCHW" if x.ndim == 4 else "NCDHW")


def likeness(ours: artifactlab.Diagnosis, theirs: artifactlab.Diagnosis) -> str:
    """In words, which of sites, their names, verdicts and severity are the same."""
    sites = [[(s.site.op, s.site.scale, s.site.period) for s in d.sites] for d in (ours, theirs)]
    names = [[s.site.name for s in d.sites] for d in (ours, theirs)]
    words = [[s.verdict for s in d.sites] for d in (ours, theirs)]
    found = {"sites": sites, "names": names, "verdicts": words}
    differ = [name for name, (a, b) in found.items() if sorted(a) != sorted(b)]
    differ += ["severity"] * (not like(ours.output.severity, theirs.output.severity))
    return f"other {', '.join(differ)}" if differ else "same"


def like(one: float, other: float) -> bool:
    """Whether two severities are the same."""
    return abs(one - other) <= LIKE * max(one, other, 1e-6)


def lints(model: nn.Module) -> list[tuple[str, ...]]:
    """What lint finds: where, by which rule, and how grave."""
    return sorted((found.site, found.rule, found.level) for found in artifactlab.lint(model, trained=True))


def fixed(
    net: str, model: nn.Module, source: Source, ours: artifactlab.Diagnosis, theirs: artifactlab.Diagnosis
) -> tuple[str, str]:
    """Whether the fix of the first offender, or of the first site, leaves the same, and what the file of it does."""
    chosen = ours.offenders[0] if ours.offenders else ours.sites[0]
    number = next(k for k, one in enumerate(ours.sites) if one.site == chosen.site)
    torch.manual_seed(0)
    twin = BY_MODULES[net]().eval() if net in BY_MODULES else model
    key = f"resize{chosen.site.call}" if net in BY_MODULES else chosen.site.key
    x = source.calls[0].args[0]
    try:
        after = fix_site(twin, x, key, data_range=1.0).check.severity[1]
    except ArtifactLabError:
        after = None
    try:
        made = fix_site(source.model, x, theirs.sites[number].site.key, data_range=1.0)
    except ArtifactLabError:
        return ("refused, as there" if after is None else "refused"), "-"
    if after is None:
        return "refused there", written(made, source)
    return ("same" if like(after, made.check.severity[1]) else "other severity"), written(made, source)


def written(made: Fix, source: Source) -> str:
    """How far what other programs compute of the file is from the fixed model, relative to the largest value."""
    x = source.calls[0].args[0]
    out = source.path.with_name("fixed.safetensors")
    (one,) = back(made, Source(source.path, source.model, source.calls, JudgingOptions(data_range=1.0)), out)
    if not one.files:
        return f"refused: {one.sentence}"[:60]
    ((path, content),) = one.files.items()
    path.write_bytes(content)
    with torch.no_grad():
        expected, found = made.model(x), opened_plainly(path, x)
    is_weights = "weights alone" in one.sentence
    within = (..., *[slice(BORDER, -BORDER)] * (x.ndim - 2)) if is_weights else ...
    off = float((found - expected)[within].abs().max() / expected.abs().max())
    return f"{path.suffix}, {'weights alone, inside' if is_weights else 'new layer,'} {off:.0e}"


def opened_plainly(path: Path, x: Tensor) -> Tensor:
    """What is computed of a file without this package."""
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(x)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return torch.as_tensor(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


def save_exported(model: nn.Module, x: Tensor, path: Path) -> None:
    """As `.pt2`."""
    with path.open("wb") as file:
        torch.export.save(torch.export.export(model, (x,)), file)


def save_traced(model: nn.Module, x: Tensor, path: Path) -> None:
    """As TorchScript, traced."""
    torch.jit.trace(model, x).save(str(path))


def save_scripted(model: nn.Module, x: Tensor, path: Path) -> None:
    """As TorchScript, scripted."""
    torch.jit.script(model).save(str(path))


def save_onnx(model: nn.Module, x: Tensor, path: Path) -> None:
    """As ONNX, by torch's exporter."""
    torch.onnx.export(model, (x,), str(path), dynamo=True, external_data=False, verbose=False)


FORMATS: dict[str, Callable[[nn.Module, Tensor, Path], None]] = {
    "pt2": save_exported,
    "traced": save_traced,
    "scripted": save_scripted,
    "onnx": save_onnx,
}
"""Name -> what writes a model and an input of it to a file."""

if __name__ == "__main__":
    main()
