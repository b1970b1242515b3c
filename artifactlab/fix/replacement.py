"""What stands where a site's operator stood: built, put into a model, and written down to do so again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from torch import Tensor, nn

from artifactlab.errors import FixError, InputError, first_line
from artifactlab.fix.graph_calls import move_call
from artifactlab.fix.upsample import MODES
from artifactlab.fix.upsample.checks import KINDS, only_for_images
from artifactlab.fix.upsample.spaces import TRANSPOSED, extended
from artifactlab.models.torch_internals import COMPILED_CHILD

NEEDS_A_SKIP = ("gated",)
"""Modes that a layer with one input cannot be replaced by."""
MAX_SIZE = 1 << 16
"""Channels, and pixels per pixel, that a file may ask for: more than any decoder has, and too few for a damaged number
to fill the memory."""
MAX_SCALE = 64
"""The factor that a file may ask for: patches of tokens have 16 or 32, and its square is what an output grows by."""
MAX_MORE = 1024
"""Rows that a file may add: more than any kernel has, by which an output is longer."""


class ReplaceableModes(Sequence[str]):
    """The modes that a layer can be replaced by, those of installed packages included, looked up when asked for.

    >>> "subpixel" in REPLACEABLE, "gated" in REPLACEABLE
    (True, False)
    """

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[str]:
        return (mode for mode in MODES if mode not in NEEDS_A_SKIP)

    def __contains__(self, mode: object) -> bool:
        return mode in MODES and mode not in NEEDS_A_SKIP

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(tuple(self))


REPLACEABLE = ReplaceableModes()
"""The names in `artifactlab.fix.upsample.MODES` that a layer can be replaced by."""
REFITS = ("weights", "blur", "icnr")
"""Modes that leave the layer where it is, with other weights."""
PADDING = "padding"
"""The mode that leaves a transposed convolution one, with a larger kernel."""


class Cures(ReplaceableModes):
    """All that `fix_site` and `artifactlab fix --with` take: `REFITS`, `PADDING` and `REPLACEABLE`.

    >>> "weights" in CURES, "subpixel" in CURES, "gated" in CURES
    (True, True, False)
    """

    def __iter__(self) -> Iterator[str]:
        yield from (*REFITS, PADDING, *super().__iter__())

    def __contains__(self, mode: object) -> bool:
        return mode in (*REFITS, PADDING) or super().__contains__(mode)


CURES = Cures()
"""The modes of a fix."""


@dataclass(frozen=True)
class Replacement:
    """What stands where a site's operator stood; enough to do the same to another copy of the model."""

    site: str
    """The key or name of the site, as it was given."""
    paths: tuple[str, ...]
    """Qualified names of the old modules: the new one stands at the first, `nn.Identity` at the others."""
    mode: str
    """The kind of the new module, one of `CURES`; of `REFITS`, if the old ones stay."""
    in_channels: int
    """The channels of the features before."""
    out_channels: int
    """The channels of the features after."""
    scale: tuple[int, ...]
    """The factor by which the features grow along each axis."""
    more: tuple[int, ...]
    """What the output has along each axis beyond `scale` times the input, or lacks where it is negative."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further keyword arguments of the new module."""

    @property
    def is_refit(self) -> bool:
        """Whether the old modules stay, with other weights: files of the model need not say so."""
        return self.mode in REFITS

    def build(self) -> nn.Module:
        """A fresh module of this kind.

        Raises:
            InputError: if the mode does not take these options.
        """
        if self.mode in NEEDS_A_SKIP:
            raise InputError(
                f"mode {self.mode!r} blends with a skip, which a replaced layer is not given; build the decoder with"
                f" LearnableInterpolationUpsample(..., mode={self.mode!r}), or choose {', '.join(REPLACEABLE)}"
            )
        if self.mode not in REPLACEABLE and self.mode != PADDING:
            raise InputError(f"unknown mode {self.mode!r}; expected one of {', '.join(CURES)}")
        padded = self.mode == PADDING
        make: Callable[..., object] = TRANSPOSED[len(self.more)] if padded else MODES[self.mode]
        shape = {"stride": self.scale} if padded else self._shape()
        try:
            made = make(self.in_channels, self.out_channels, **shape, **self.options)
        except InputError:
            raise
        except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
            raise InputError(f"mode {self.mode!r} cannot be made with {self.options}: {first_line(error)}") from error
        if not isinstance(made, nn.Module):
            raise InputError(f"mode {self.mode!r} makes a {type(made).__name__}, expected a torch.nn.Module")
        return Trimmed(made, self.more) if any(self.more) and not padded else made

    def _shape(self) -> dict[str, Any]:
        """Scale and number of axes as the mode's class takes them; an InputError where it is for images alone."""
        axes, same = len(self.more), len(set(self.scale)) == 1
        if "spatial_dims" in inspect.signature(MODES[self.mode]).parameters:
            return {"scale": self.scale[0] if same else self.scale, "spatial_dims": axes}
        if axes != 2:
            raise InputError(only_for_images(self.mode, KINDS[axes]))
        if not same:
            raise InputError(
                f"{self.mode} enlarges rows and columns alike; for a scale of {times(self.scale)} use interpolate_conv"
            )
        return {"scale": self.scale[0]}

    def install(self, model: nn.Module, new: nn.Module) -> None:
        """Put `new` where the operator stood in `model`, under every name that it has there."""
        for path in self.paths:
            move_call(model, path)
            _refuse_missing(model, path)
        for path in self.paths:
            made = new if path == self.paths[0] else nn.Identity()
            old = model.get_submodule(path)
            for name in [name for name, module in model.named_modules(remove_duplicate=False) if module is old]:
                # a compiled module would go on running the old one
                put(model, name.removesuffix(f".{COMPILED_CHILD}"), made)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the header of a weights file."""
        names = ("site", "mode", "in_channels", "out_channels", "options")
        scale = self.scale[0] if len(set(self.scale)) == 1 else list(self.scale)  # a number, as files before had
        lists = {"paths": list(self.paths), "scale": scale, "more": list(self.more)}
        return {name: getattr(self, name) for name in names} | lists

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Replacement:
        """The inverse of `to_dict`, from its `data`.

        Raises:
            InputError: if something is missing or of another kind.
        """
        try:
            more = tuple(map(int, data["more"]))
            scale = data["scale"] if isinstance(data["scale"], list) else [data["scale"]] * len(more)
            made = cls(
                site=str(data["site"]),
                paths=tuple(map(str, data["paths"])),
                mode=str(data["mode"]),
                in_channels=int(data["in_channels"]),
                out_channels=int(data["out_channels"]),
                scale=tuple(map(int, scale)),
                more=more,
                options=dict(data["options"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"this is no replacement that artifactlab wrote: {error!r:.200}") from error
        made._refuse_sizes()
        return made

    def _refuse_sizes(self) -> None:
        """Raise an InputError for what no fix has, and would fill the memory when the module is made or run."""
        listed = [value if isinstance(value, (list, tuple)) else [value] for value in self.options.values()]
        numbers = [value for values in listed for value in values if isinstance(value, (int, float))]
        sizes = (self.in_channels, self.out_channels, *self.scale)
        if (
            not self.paths
            or "" in self.paths
            or not all(1 <= size <= MAX_SIZE for size in sizes)
            or len(self.more) not in KINDS
            or len(self.scale) != len(self.more)
            or max(self.scale) > MAX_SCALE
            or not all(abs(more) <= MAX_MORE for more in self.more)
            or not all(abs(number) <= MAX_SIZE for number in numbers)
        ):
            raise InputError(
                f"this is no replacement that artifactlab wrote: paths {self.paths!r:.200}, sizes {sizes},"
                f" {self.more} more, options {self.options!r:.200}"
            )


class Trimmed(nn.Module):
    """An upsampler whose output is cut or repeated at its end, to the size that the old one gave."""

    def __init__(self, up: nn.Module, more: tuple[int, ...]) -> None:
        super().__init__()
        self.up = up
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(x)
        beyond = [max(0, more) for more in self.more]
        sizes = [size + more for size, more in zip(y.shape[2:], self.more, strict=True)]
        y = extended(y, [0] * len(beyond), beyond)
        for axis, size in enumerate(sizes, 2):
            y = y.narrow(axis, 0, size)
        return y


def put(model: nn.Module, path: str, new: nn.Module) -> None:
    """Make `new` the submodule at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)


def _refuse_missing(model: nn.Module, path: str) -> None:
    try:
        model.get_submodule(path)
    except AttributeError as error:
        raise FixError(f"the model has no {path}; this fix was made for another model") from error


def times(scale: Sequence[int]) -> str:
    """`2` where all axes grow alike, `1x2x2` where they do not."""
    return str(scale[0]) if len(set(scale)) == 1 else "x".join(map(str, scale))
