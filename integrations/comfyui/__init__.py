"""Nodes for ComfyUI that tell whether stair-steps or checkerboards are there, and which layer draws them.

This folder is a node package by itself: copied or linked into `ComfyUI/custom_nodes/`, it needs artifactlab in the same
Python, and nothing else that ComfyUI does not have. See README.md.
"""

from importlib.util import find_spec

from comfy_api.v0_0_2 import ComfyExtension, io  # which stays as it is while `comfy_api.latest` moves on

if find_spec("artifactlab") is None:
    raise ImportError("these nodes need artifactlab in ComfyUI's own Python: python -m pip install path/to/artifactlab")

from .nodes import NODES


class ArtifactLab(ComfyExtension):
    """The nodes, as ComfyUI asks for them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes of this package."""
        return list(NODES)


async def comfy_entrypoint() -> ArtifactLab:
    """What ComfyUI calls when it loads the package."""
    return ArtifactLab()
