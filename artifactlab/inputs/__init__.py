"""What goes in: image files, and synthetic images whose right output is known.

`PROBES` has the synthetic images by name; installed packages add to them.
"""

from artifactlab.inputs.image_files import find_images
from artifactlab.inputs.images import read_image
from artifactlab.inputs.model_inputs import load_inputs
from artifactlab.inputs.probes import PROBES, make_probe

__all__ = ["PROBES", "find_images", "load_inputs", "make_probe", "read_image"]
