"""Nodes for ComfyUI that tell whether stair-steps or checkerboards are there, and which layer draws them.

This folder is a node package by itself: copied or linked into `ComfyUI/custom_nodes/`, it needs artifactlab in the same
Python, and nothing else that ComfyUI does not have. See README.md.
"""

from comfy_api.latest import ComfyExtension, io

from .nodes import NODES


class ArtifactLab(ComfyExtension):
    """The nodes, as ComfyUI asks for them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes of this package."""
        return list(NODES)


async def comfy_entrypoint() -> ArtifactLab:
    """What ComfyUI calls when it loads the package."""
    return ArtifactLab()
