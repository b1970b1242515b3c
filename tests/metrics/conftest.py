"""Photos, planted defects and slow references shared by the metric tests.

All fixtures are session-wide and hand out pure functions, so that hypothesis may use them freely.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

import artifactlab.metrics as metrics

Array = NDArray[np.float64]


@cache
def _photo(name: str) -> Array:
    image = getattr(skimage.data, name)()
    return np.asarray(image[..., :3] if image.ndim == 3 else image, dtype=np.float64) / 255


@pytest.fixture(scope="session")
def photo() -> Callable[..., Array]:
    """`photo(name, size, top, left)`: a (H, W) or (H, W, 3) array in [0, 1]; `size=None` is the whole picture."""

    def get(name: str = "coffee", size: int | None = 256, top: int = 0, left: int = 0) -> Array:
        image = _photo(name)
        return image.copy() if size is None else image[top : top + size, left : left + size].copy()

    return get


@pytest.fixture(scope="session")
def tensor() -> Callable[..., Tensor]:
    """`(H, W)` or `(H, W, C)` array to a `(1, C, H, W)` tensor."""

    def convert(image: Array, dtype: torch.dtype = torch.float32) -> Tensor:
        planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(planes)).to(dtype)[None]

    return convert


@pytest.fixture(scope="session")
def shrink() -> Callable[[Array, int], Array]:
    """Mean over s x s blocks; rows and columns that fill no block are dropped."""

    def area(image: Array, s: int) -> Array:
        rows, columns = image.shape[0] // s, image.shape[1] // s
        inner = image[: rows * s, : columns * s]
        return inner.reshape(rows, s, columns, s, *image.shape[2:]).mean((1, 3))

    return area


@pytest.fixture(scope="session")
def nearest(shrink: Callable[[Array, int], Array]) -> Callable[[Array, int], Array]:
    """The image shrunk by area and replicated s times: the stair-steps of nearest-neighbour upsampling."""

    def replicate(image: Array, s: int) -> Array:
        return np.kron(shrink(image, s), np.ones((s, s) + (1,) * (image.ndim - 2)))

    return replicate


@pytest.fixture(scope="session")
def board() -> Callable[..., Array]:
    """`board(shape)`: +1 and -1 in turn."""

    def make(shape: tuple[int, ...]) -> Array:
        rows, columns = np.indices(shape[:2])
        pattern = np.where((rows + columns) % 2, -1.0, 1.0)
        return pattern[..., None] if len(shape) == 3 else pattern

    return make


@pytest.fixture(scope="session")
def tiled() -> Callable[..., Array]:
    """`tiled(pattern, *sizes)`: a pattern repeated from the first sample on, along any number of axes."""

    def repeat(pattern: Array, *sizes: int) -> Array:
        return pattern[np.ix_(*(np.arange(size) % fold for size, fold in zip(sizes, pattern.shape, strict=True)))]

    return repeat


@pytest.fixture(scope="session")
def pattern() -> Callable[..., Array]:
    """`pattern(folds, rms, seed)`: one period of a random grid, of mean 0 and of exactly that rms."""

    def draw(folds: tuple[int, ...], rms: float = 1.0, seed: int = 0) -> Array:
        values = np.random.default_rng(seed).normal(size=folds)
        values -= values.mean()
        return values * rms / np.sqrt((values**2).mean())

    return draw


@pytest.fixture(scope="session")
def half_plane() -> Callable[..., Array]:
    """`half_plane(size, degrees, s)`: black and white, its edge at `degrees`, drawn small and replicated s times."""

    def draw(size: int, degrees: float, s: int = 1, offset: float = 0.3) -> Array:
        rows, columns = np.indices((size // s, size // s)) - (size // s - 1) / 2
        angle = math.radians(degrees)
        return np.kron(rows * math.cos(angle) - columns * math.sin(angle) + offset > 0, np.ones((s, s)))

    return draw


@pytest.fixture(scope="session")
def jpeg() -> Callable[[Array, int], Array]:
    def compress(image: Array, quality: int) -> Array:
        coded = cv2.imencode(".jpg", np.round(image * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), dtype=np.float64) / 255

    return compress


@pytest.fixture(scope="session")
def symmetries() -> dict[str, Callable[[Tensor], Tensor]]:
    """The seven flips and turns of the square besides the identity."""
    return {
        "left-right": lambda x: x.flip(3),
        "upside-down": lambda x: x.flip(2),
        "half turn": lambda x: x.flip(2, 3),
        "transpose": lambda x: x.transpose(2, 3),
        "anti-transpose": lambda x: x.flip(2, 3).transpose(2, 3),
        "quarter turn": lambda x: x.rot90(1, (2, 3)),
        "three quarters": lambda x: x.rot90(3, (2, 3)),
    }


@pytest.fixture(scope="session")
def reference_gradient() -> Callable[[Array, float], tuple[Array, Array]]:
    """`(d/dy, d/dx)` by scipy's Gaussian derivative, gauged so that a unit ramp has slope 1."""

    def derive(plane: Array, sigma: float) -> tuple[Array, Array]:
        ramp = np.tile(np.arange(101.0), (3, 1))
        gauge = ndimage.gaussian_filter(ramp, sigma, order=(0, 1), mode="nearest")[1, 50]
        slopes = [ndimage.gaussian_filter(plane, sigma, order=order, mode="nearest") for order in ((1, 0), (0, 1))]
        return slopes[0] / gauge, slopes[1] / gauge

    return derive


PERIOD = 2
"""Period of the specimen. Without one all are looked for, which takes long and is tested with `spectral_images`."""


@pytest.fixture(scope="session")
def call() -> Callable[..., Tensor]:
    """`call(name, x, **arguments)`: the public metric of `x`, as numbers or as a map."""

    def measure(name: str, x: Tensor, **arguments: Any) -> Any:
        # the one that compares two batches gets the transposed batch, too
        function = getattr(metrics, name)
        if name == "direction_divergence":
            reference = x.transpose(-2, -1) if isinstance(x, torch.Tensor) and x.ndim == 4 else x
            return function(x, reference, **arguments)
        if "period" in inspect.signature(function).parameters:
            arguments = {"period": PERIOD, **arguments}
        if name == "lattice_spectrum":
            arguments = {"periods": (2, 4), **arguments}
        result = function(x, **arguments)
        if name == "spectral_images":
            return torch.stack([result.grid, result.modulation, result.warp, result.explained], 1)
        if name == "spectral_images_map":
            return sum(form.square() for form in result).sqrt()
        if name == "remove_spectral_images":  # what was removed
            return (x.detach().to(result) - result).abs().mean(1, keepdim=True) / arguments.get("data_range", 1.0)
        return result

    return measure


@pytest.fixture(scope="session")
def replicated(photo: Callable[..., Array], nearest: Callable[..., Array], tensor: Callable[..., Tensor]) -> Tensor:
    """Two photos of 72 x 72 pixels with stair-steps."""
    places = (("coffee", 72, 120, 180), ("astronaut", 72, 180, 100))
    return torch.cat([tensor(nearest(photo(*where), 2)) for where in places])


@pytest.fixture(scope="session")
def defective(replicated: Tensor, board: Callable[..., Array], tensor: Callable[..., Tensor]) -> Tensor:
    """The same with a 2% checkerboard, which is finer than any block: no metric reads nothing on them."""
    return replicated + 0.02 * tensor(board((72, 72)))


@pytest.fixture
def specimen(name: str, defective: Tensor, replicated: Tensor) -> Tensor:
    """What moves the metric."""
    return replicated if name == "replication_factor" else defective
