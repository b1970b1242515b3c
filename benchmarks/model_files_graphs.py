"""Models as the files of graphs that they are shipped in: the same sites and the same verdict as of the Python module?

Exports each of ten decoders as `.pt2`, TorchScript and ONNX, opens the file as a user would, and compares diagnoses.
ONNX needs `pip install 'artifactlab[onnx]' onnxscript`; without it, that column is left out.

    python benchmarks/model_files_graphs.py
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from graph_nets import NETS
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import ArtifactLabError

LIKE = 1e-3
"""Largest relative difference of severities that counts as the same: graphs add up in another order."""


def main() -> None:
    """Print a row for each net, and a word for each format."""
    formats = FORMATS if importlib.util.find_spec("onnx") else {k: v for k, v in FORMATS.items() if k != "onnx"}
    print(f"{'net':22}" + "".join(f"{name:34}" for name in formats))
    for net, (make, shape) in NETS.items():
        torch.manual_seed(0)
        model, x = make().eval(), torch.rand(shape)
        print(f"{net:22}" + "".join(f"{compared(model, x, save):34}" for save in formats.values()), flush=True)


def compared(model: nn.Module, x: Tensor, save: Callable[[nn.Module, Tensor, Path], None]) -> str:
    """What a diagnosis of the saved model has in common with one of the model itself."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.bin"
        save(model, x, path)
        try:
            kwargs = {"shape": list(x.shape)} if save in (save_traced, save_scripted) else {}
            opened = artifactlab.load_model(str(path), kwargs)
            return likeness(diagnosed(model, x), diagnosed(opened, x))
        except ArtifactLabError as error:
            return f"refused: {error}"[:32]


def diagnosed(model: nn.Module, x: Tensor) -> artifactlab.Diagnosis:
    """A diagnosis in the layout of the input."""
    return artifactlab.diagnose(model, x, data_range=1.0, layout="NCHW" if x.ndim == 4 else "NCDHW")


def likeness(ours: artifactlab.Diagnosis, theirs: artifactlab.Diagnosis) -> str:
    """In words, which of sites, their names, verdicts and severity are the same."""
    sites = [[(s.site.op, s.site.scale, s.site.period) for s in d.sites] for d in (ours, theirs)]
    names = [[s.site.name for s in d.sites] for d in (ours, theirs)]
    words = [[s.verdict for s in d.sites] for d in (ours, theirs)]
    one, other = (d.output.severity for d in (ours, theirs))
    like = abs(one - other) <= LIKE * max(one, other, 1e-6)
    found = {"sites": sites, "names": names, "verdicts": words}
    differ = [name for name, (a, b) in found.items() if sorted(a) != sorted(b)] + ["severity"] * (not like)
    return f"other {', '.join(differ)}" if differ else "same"


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
