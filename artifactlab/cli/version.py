"""`artifactlab --version`: what to put into a bug report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = {
    "numpy": ("numpy",),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "scikit-image": ("scikit-image",),
}
"""Packages with the distributions that each may have come in."""


def version_text() -> str:
    """A line per package that matters, the platform and the devices a model can run on."""
    lines = {
        "artifactlab": version("artifactlab"),
        "python": platform.python_version(),
        "torch": f"{torch.__version__} ({_toolkit()})",
        **{name: _installed(names) for name, names in PACKAGES.items()},
        "platform": platform.platform(),
        "devices": ", ".join(_devices()),
    }
    return "\n".join(f"{name} {value}" for name, value in lines.items())


def _installed(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"


def _toolkit() -> str:
    """What torch was built for."""
    found = [f"{name.upper()} {built}" for name in ("cuda", "hip") if (built := getattr(torch.version, name))]
    return found[0] if found else "no CUDA or HIP"


def _devices() -> list[str]:
    cuda = [f"cuda:{number} ({torch.cuda.get_device_name(number)})" for number in range(torch.cuda.device_count())]
    more = ["mps"] if torch.backends.mps.is_available() else []
    more += ["xpu"] if torch.xpu.is_available() else []
    return ["cpu", *cuda, *more]
