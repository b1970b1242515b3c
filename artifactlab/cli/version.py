"""`artifactlab --version`: what to put into a bug report, read off the installed packages without importing them."""

from __future__ import annotations

import platform
import runpy
import sys
from importlib.metadata import PackageNotFoundError, distribution, version

PACKAGES = {
    "torch": ("torch",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "scikit-image": ("scikit-image",),
}
"""what it is called -> the distributions it may have come in"""


def version_text() -> str:
    """A line per package that matters, the platform and the devices a model can run on."""
    build = _torch_build()
    lines = {"artifactlab": version("artifactlab"), "python": platform.python_version()}
    lines |= {name: _installed(names) for name, names in PACKAGES.items()}
    lines["torch"] = f"{build.get('__version__', lines['torch'])} ({_toolkit(build)})"
    lines["platform"] = platform.platform()
    lines["devices"] = ", ".join(_devices(build))
    return "\n".join(f"{name} {value}" for name, value in lines.items())


def _installed(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"


def _torch_build() -> dict[str, str | None]:
    """The names in torch's generated `version.py`, which imports nothing; empty where there is none."""
    try:
        return runpy.run_path(str(distribution("torch").locate_file("torch/version.py")))
    except (PackageNotFoundError, OSError):
        return {}


def _toolkit(build: dict[str, str | None]) -> str:
    found = [f"{name.upper()} {build[name]}" for name in ("cuda", "hip", "xpu") if build.get(name)]
    return found[0] if found else "CPU build"


def _devices(build: dict[str, str | None]) -> list[str]:
    """Only a torch that could use more than the CPU has to be asked, which takes importing it."""
    if _toolkit(build) == "CPU build" and sys.platform != "darwin":
        return ["cpu"]
    import torch

    cuda = [f"cuda:{number} ({torch.cuda.get_device_name(number)})" for number in range(torch.cuda.device_count())]
    more = ["mps"] if torch.backends.mps.is_available() else []
    more += ["xpu"] if hasattr(torch, "xpu") and torch.xpu.is_available() else []
    return ["cpu", *cuda, *more]
