"""A fixed model as a file of weights like the one that it came from: names, nesting and suffix stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from artifactlab.errors import FixError, ModelError
from artifactlab.files import followed
from artifactlab.fix.back import Source, Written, elsewhere
from artifactlab.fix.held import Held, NotHeld, held
from artifactlab.fix.pipeline import Fix
from artifactlab.models.weight_layout import WeightLayout, read_layout
from artifactlab.models.wrappers import unwrap


def weights_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The fixed model as a file beside `out` that is read where the source's file is, see `Writer`."""
    try:
        found = held(made, source)
        layout = refilled([source.path], source.model, found)
    except (FixError, ModelError) as error:
        return (not_held(error, made, source, out),)
    path = elsewhere(source.path, out)
    sentence = f"{path.name} is for programs that load {source.path}: {found.likeness}"
    return (Written(sentence, {followed(path): layout.to_bytes()}, found.psnr),)


def not_held(error: FixError | ModelError, made: Fix, source: Source, out: Path) -> Written:
    """That the architecture had to change, why, and what loads the new one."""
    why = f"programs that load {source.path} cannot hold {'the new layer' if made.replacements else 'it'} ({error})"
    psnr = error.psnr if isinstance(error, NotHeld) else None
    return Written(f"the architecture changed, and {why}; this does: {source.with_weights(out)}", psnr=psnr)


def refilled(paths: Sequence[Path], original: nn.Module, found: Held) -> WeightLayout:
    """The layout of the original's files, with the values that changed.

    Raises:
        ModelError: if one that changed is not to be found there.
    """
    before, after = unwrap(original).state_dict(), found.model.state_dict()
    changed = [name for name, value in after.items() if not torch.equal(value, before[name])]
    layout = read_layout(paths)
    names = layout.names({name: before[name].cpu() for name in changed})
    return layout.replaced({names[name]: after[name].cpu() for name in changed})
