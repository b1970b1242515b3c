"""Which modules of a model make up a site: the upsampler, and the convolution that belongs to it."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix.advice import how_to_make_it_a_module
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample.spaces import CONVOLUTIONS, TRANSPOSED, AnyConvolution, Convolution
from artifactlab.lint.graph import ROOT_NAME, ModuleGraph, Op, module_graph
from artifactlab.lint.model_copy import eval_copy
from artifactlab.lint.ops import DIRECTIONS_OF_MODES
from artifactlab.lint.ops import Convolution as ConvolutionCall
from artifactlab.models.torch_internals import forward_hooks, forward_pre_hooks, own_parameters

PADDINGS = (
    *(nn.ReflectionPad1d, nn.ReplicationPad1d, nn.ZeroPad1d, nn.CircularPad1d),
    *(nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d, nn.CircularPad2d),
    *(nn.ReflectionPad3d, nn.ReplicationPad3d, nn.ZeroPad3d, nn.CircularPad3d),
    nn.Identity,
)
"""Modules that may stand between a resize and its convolution."""
ORDINARY = tuple(CONVOLUTIONS.values())
"""Convolutions of signals, images and volumes."""
ENLARGING = (*TRANSPOSED.values(), nn.PixelShuffle, nn.Upsample)
"""Layers that are replaced."""


@dataclass(frozen=True)
class SiteOperator:
    """The modules that enlarge at a site, and what they do together."""

    site: str
    """The site's key or name, as the user gave it."""
    paths: tuple[str, ...]
    """Qualified names in running order; the output of each is the next one's input, and nobody else's."""
    in_channels: int
    """The channels of the first module's input."""
    response: Response
    """What all of the modules do together."""

    @property
    def out_channels(self) -> int:
        """The channels of the last module's output."""
        return self.response.kernel.shape[0]


def find_operator(model: nn.Module, site: Site | str) -> SiteOperator:
    """The modules behind a site.

    A transposed convolution stands alone; a pixel shuffle comes with the convolution that feeds it, a resize with the
    convolution that reads it, where there is one; a module of the user's own that does nothing but enlarge counts as a
    whole, whatever its forward calls.

    Args:
        model: the user's own module, without wrappers.
        site: from `capture` or `diagnose`, or its key or module name.

    Raises:
        InputError: if the model has no such module.
        FixError: if the site is no module that can be swapped; the message says which line to change, and how.
    """
    key, name = _key_and_name(site)
    module = _module(model, name, key)
    if not name:
        if type(module).__module__.startswith("torch.nn."):
            raise FixError(f"the model itself is the upsampler {key}; put it into an nn.Sequential to replace it")

        raise FixError(how_to_make_it_a_module(module, name, key))
    if isinstance(module, nn.Upsample) and module.size is not None:
        raise FixError(f"{name} resizes to {module.size}, whatever comes in; give it a scale_factor, and fix that")
    if _runs_torchs_own(module, (nn.PixelShuffle, nn.Upsample)):
        paths = with_convolution(model, name, feeds=isinstance(module, nn.PixelShuffle))
        return _operator(model, site, key, paths)
    try:
        return _operator(model, site, key, (name,))
    except FixError as error:
        if _runs_torchs_own(module, (*ENLARGING, *ORDINARY)):
            raise
        raise FixError(f"{how_to_make_it_a_module(module, name, key)} ({error})") from error


def neighbours_of(model: nn.Module, paths: Sequence[str]) -> tuple[str, ...]:
    """The modules with weights right before and right after an operator; where paths join, on the shortest."""
    graph, modules = module_graph(model), dict(model.named_modules())
    inside = [op for op in graph.ops if any(op.site == path or op.site.startswith(f"{path}.") for path in paths)]
    found: dict[str, None] = {}
    for step in ("inputs", "users"):
        visited, level = set(inside), list(inside)
        weighted: list[Op] = []
        while level and not weighted:
            level = [op for near in level for op in getattr(near, step) if op not in visited]
            visited.update(level)
            weighted = [op for op in level if op.site in modules and _has_weights(op, modules[op.site])]
        found.update({op.site: None for op in weighted})
    return tuple(found)


def _has_weights(op: Op, module: nn.Module) -> bool:
    return isinstance(op.spec, ConvolutionCall) or isinstance(module, AnyConvolution)


class Chain(nn.Module):
    """Modules run one after the other, outside of the model they belong to."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x


def _operator(model: nn.Module, site: Site | str, key: str, paths: tuple[str, ...]) -> SiteOperator:
    """The operator, its modules' answers read off copies on the CPU, so that the model is left alone."""
    modules = [model.get_submodule(path) for path in paths]
    _refuse_unreadable(modules, paths)
    parts = own_copy(modules)
    what, reason = " and ".join(paths), ""
    for axes, channels in itertools.product(_possible_axes(modules, site), _possible_channels(modules, site)):
        try:
            response = impulse_response(parts, channels, axes)
        except InputError as error:
            reason = str(error)
            continue
        if isinstance(site, Site) and len(paths) == 1 and site.scale != response.scale:
            raise FixError(f"{what} enlarges by {response.scale}, but by {site.scale} where the model runs it")
        return SiteOperator(key, paths, channels, response)
    if reason:
        raise FixError(f"{what} cannot be replaced: {reason}")
    raise FixError(
        f"{key} has no weights to read its channels from; pass the Site that `capture` or `diagnose` lists, not a name"
    )


def _refuse_unreadable(modules: Sequence[nn.Module], paths: Sequence[str]) -> None:
    """What would be lost without a word, or cannot be read: hooks, and weights that are not there yet."""
    for module, path in zip(modules, paths, strict=True):
        if any(is_lazy(tensor) for tensor in [*module.parameters(), *module.buffers()]):
            raise FixError(f"{path} is not initialised yet; run the model once")
        for inner in module.modules():
            hooks = [*forward_hooks(inner).values(), *forward_pre_hooks(inner).values()]
            if any(not isinstance(hook, (WeightNorm, SpectralNorm)) for hook in hooks):
                raise FixError(
                    f"{path} has hooks, which would be lost with it; remove them, fix, and put them on again"
                )


def _possible_channels(modules: Sequence[nn.Module], site: Site | str) -> list[int]:
    """What may come in: the channels of the first module's first convolution, as registered; those that came in where
    the site was seen running; those of a convolution after a resize, which keeps them."""
    first, *others = [[part.in_channels for part in _convolutions(m)][:1] for m in modules]
    observed = [site.in_shape[1]] if isinstance(site, Site) else []
    return list(dict.fromkeys([*first, *observed, *(channels for found in others for channels in found)]))


def _possible_axes(modules: Sequence[nn.Module], site: Site | str) -> list[int]:
    """How many spatial axes may come in: those of the site's own tensor where it was seen running, of the modules'
    convolutions and resizes; images where nothing says."""
    observed = [len(site.scale)] if isinstance(site, Site) else []
    parts = [part for module in modules for part in module.modules()]
    modes = [part.mode for part in parts if isinstance(part, nn.Upsample)]
    resizes = [DIRECTIONS_OF_MODES[mode] for mode in modes if mode in DIRECTIONS_OF_MODES]
    layers = [part.weight.ndim - 2 for module in modules for part in _convolutions(module)]
    return list(dict.fromkeys([*observed, *resizes, *layers])) or [2]


def _convolutions(module: nn.Module) -> list[AnyConvolution]:
    return [part for part in module.modules() if isinstance(part, AnyConvolution)]


def own_copy(modules: Sequence[nn.Module]) -> Chain:
    """Modules run one after the other with parameters of their own, in eval mode, on the CPU in full precision."""
    copies = eval_copy(Chain(modules))
    assert isinstance(copies, Chain)
    for module in copies.modules():
        for name, parameter in own_parameters(module).items():
            if parameter is not None:
                own = parameter.detach().to("cpu", torch.float32, copy=True)
                own_parameters(module)[name] = nn.Parameter(own, requires_grad=False)
    return copies.to("cpu", torch.float32)


def _key_and_name(site: Site | str) -> tuple[str, str]:
    """`dec.up/interpolate#0` -> itself and `dec.up`."""
    if isinstance(site, Site):
        return site.key, site.name
    name, slash, _ = site.rpartition("/")
    return site, name if slash else "" if "#" in site else site


def _module(model: nn.Module, name: str, key: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        near = difflib.get_close_matches(name, dict(model.named_modules()), 3)
        near = near or [known for known, module in model.named_modules() if isinstance(module, ENLARGING)][:5]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"the model has no module {name!r} (from site {key!r}){hint}") from error


def with_convolution(model: nn.Module, name: str, feeds: bool) -> tuple[str, ...]:
    """A shuffle or resize with the convolution before or after it, if the two belong to nobody else."""
    graph = module_graph(model)
    runs = [op for op in graph.ops if op.site == name]
    if len(runs) > 1:
        raise FixError(
            f"{name} runs {len(runs)} times in a forward pass, at several sites; give each call a module of its own"
            " (it has no weights, so the checkpoint still fits), and fix that one"
        )
    chain = [name]
    op = runs[0] if runs else None
    while op is not None:
        op = _only_neighbour(op, feeds, model, graph)
        if op is None:
            break
        chain.append(op.site)
        if _has_weights(op, model.get_submodule(op.site)):
            return tuple(reversed(chain)) if feeds else tuple(chain)
    return (name,)


def _only_neighbour(op: Op, before: bool, model: nn.Module, graph: ModuleGraph) -> Op | None:
    """The padding or ordinary convolution next to `op`, where no other call reads what passes between them."""
    found = op.inputs if before else op.users
    if len(found) != 1 or len(found[0].users if before else found[0].inputs) != 1:
        return None
    (near,) = found
    if near.site not in dict(model.named_modules()) or _is_guessed(op.site, near.site, graph):
        return None
    if sum(other.site == near.site for other in graph.ops) > 1:
        return None
    module = model.get_submodule(near.site)
    keeps_size = isinstance(module, Convolution) and max(module.stride) == 1 and _runs_torchs_own(module, ORDINARY)
    return near if keeps_size or isinstance(module, PADDINGS) else None


def _runs_torchs_own(module: nn.Module, kinds: Sequence[type[nn.Module]]) -> bool:
    """Whether it runs the forward of one of these classes of torch's, so that its arguments say what it does."""
    kind = next((kind for kind in kinds if isinstance(module, kind)), None)
    names = ("forward", "_conv_forward")
    return kind is not None and all(getattr(type(module), name, 0) is getattr(kind, name, 0) for name in names)


def _is_guessed(first: str, second: str, graph: ModuleGraph) -> bool:
    """Whether the forward that runs the two could not be followed, so that their order is only that of registration."""
    shared = []
    for a, b in zip(first.split(".")[:-1], second.split(".")[:-1], strict=False):
        if a != b:
            break
        shared.append(a)
    return (".".join(shared) or ROOT_NAME) in graph.untraced
