"""What `lint` looks for: each rule's name, reason, source and remedy, and the record of a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from artifactlab.printable import printable

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Rule:
    """One kind of defect that weights and structure show without data."""

    name: str
    """The rule's name, short and stable, e.g. `uneven-overlap`."""
    level: Level
    """The most that a finding of this rule can be."""
    description: str
    """What is reported."""
    unit: str
    """The unit of a finding's number; empty where it has none."""
    why: str
    """Why such a defect matters."""
    source: str
    """Where it is shown that it matters."""
    advice: str
    """What to do about it."""


@dataclass(frozen=True, repr=False)
class LintFinding:
    """One defect at one place."""

    site: str
    """The qualified module name, or `module/function#call` for a functional call; `(model)` for the model itself."""
    rule: str
    """The name of the rule, see `artifactlab.lint.RULES`."""
    level: Level
    """The level: `warning`, or `note` for what is common and mild."""
    number: tuple[float, ...]
    """How large it is: one number, or one per direction: (t,) of signals, (y, x) of images, (t or z, y, x) of volumes;
    empty where there is none, or the input decides."""
    unit: str
    """The unit of the number."""
    detail: str
    """What was found at this site."""
    why: str
    """Why such a defect matters."""
    advice: str
    """What to do about it."""

    def __repr__(self) -> str:
        return f"LintFinding({printable(self.site)}, {self.level} {self.rule}: {printable(self.detail)})"


_ODENA = "Odena, Dumoulin and Olah 2016, Deconvolution and Checkerboard Artifacts, Distill"
_AITKEN = "Aitken et al. 2017, Checkerboard artifact free sub-pixel convolution, arXiv:1707.02937"
_SUGAWARA = "Sugawara, Shiota and Kiya 2019, Checkerboard artifacts free convolutional neural networks, APSIPA Trans."

UNEVEN_OVERLAP = Rule(
    name="uneven-overlap",
    level="warning",
    description="a transposed convolution whose taps fall on its output phases in unequal numbers (kernel no multiple"
    " of the stride)",
    unit="fewest / most taps",
    why="some outputs are sums of more taps than their neighbours, so the layer has to unlearn a grid",
    source=_ODENA,
    advice="make the kernel a multiple of the stride (4 for 2), or resize and convolve instead",
)
UNEQUAL_SUMS = Rule(
    name="unequal-sums",
    level="warning",
    description="a transposed convolution whose kernel sums differ between output phases; a note below 0.6, where"
    " layers of trained nets that show no grid lie",
    unit="rms share of the flat answer",
    why="a flat input comes out as a grid; only with equal sums does the layer draw none, whatever the kernel's size",
    source=_SUGAWARA,
    advice="start from a bilinear kernel, equalise the sums, or resize and convolve; `artifactlab diagnose` tells"
    " whether the grid reaches the output",
)
UNEQUAL_SHUFFLE = Rule(
    name="unequal-shuffle",
    level="warning",
    description="a convolution that feeds a pixel shuffle and whose sub-kernel sums or biases differ within a group; a"
    " note below 0.6. Not said where a norm layer sits in between, which rescales the sub-kernels",
    unit="rms share of the flat answer",
    why="a flat input comes out as a grid; biases that differ draw one even from an input of zeros",
    source=f"{_AITKEN}; {_SUGAWARA}",
    advice="initialise sub-kernels and biases alike (ICNR, zero bias), or fine-tune with a loss that sees the grid;"
    " `artifactlab diagnose` tells whether it reaches the output",
)
NO_ICNR = Rule(
    name="no-icnr",
    level="warning",
    description="an untrained convolution that feeds a pixel shuffle and whose sub-kernels are not initialised alike;"
    " stands for unequal-shuffle there",
    unit="rms share of the weights",
    why="training starts from a grid and may keep some of it; with equal sub-kernels it starts from a nearest resize",
    source=_AITKEN,
    advice="initialise one sub-kernel, repeat it scale * scale times along the output channels, and zero the bias",
)
ALIGN_CORNERS = Rule(
    name="align-corners",
    level="warning",
    description="a resize with align_corners=True",
    unit="output pixels of shift at the border",
    why="the sampling step is (in - 1) / (out - 1) instead of 1 / scale: features drift against skip connections"
    " towards the border, and the result depends on the input's size",
    source="PyTorch documentation of nn.Upsample, warning",
    advice="use align_corners=False; trained weights have to be fine-tuned after that",
)
BARE_NEAREST = Rule(
    name="bare-nearest",
    level="warning",
    description="a nearest resize whose output reaches the model's output without a convolution wider than one pixel",
    unit="pixels or samples of a block's side",
    why="every pixel is repeated as a block, so oblique edges come out as stair-steps, and signals with copies of their"
    " spectrum",
    source=f"{_ODENA} (resize, then convolve)",
    advice="put a 3x3 convolution after it, or resize bilinearly",
)
BORDER = Rule(
    name="border",
    level="note",
    description="zero padding at a transposed convolution, at a convolution that feeds a pixel shuffle, or at one that"
    " follows an upsampler",
    unit="output pixels or samples wide",
    why="what is near the border misses taps, so phases that are equal inside differ there: a frame, not a grid",
    source="Islam et al. 2021, Position, padding and predictions, arXiv:2101.12322",
    advice="reflect or replicate padding (`padding_mode`), or pad the input and crop the output; ignore it where"
    " borders do not matter",
)
NOT_SEEN = Rule(
    name="not-seen",
    level="note",
    description="a forward that could not be followed without data, or a weight that is computed from data",
    unit="",
    why="functional calls in it may be missing from this report, and what feeds what was taken from the order in which"
    " modules were registered",
    source="torch.fx documentation, Limitations of Symbolic Tracing",
    advice="`artifactlab diagnose` sees every call, because it runs the model",
)

RULES = (UNEVEN_OVERLAP, UNEQUAL_SUMS, UNEQUAL_SHUFFLE, NO_ICNR, ALIGN_CORNERS, BARE_NEAREST, BORDER, NOT_SEEN)
"""Every rule, gravest first."""
