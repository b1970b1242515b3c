"""What goes in: image files, and synthetic images whose right output is known."""

from artifactlab.inputs.images import find_images, read_image
from artifactlab.inputs.loading import load_inputs
from artifactlab.inputs.probes import PROBES, make_probe

__all__ = ["PROBES", "find_images", "load_inputs", "make_probe", "read_image"]
