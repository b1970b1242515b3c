"""What goes in: files of images, video, volumes and sound, and synthetic images whose right output is known.

`PROBES` has the synthetic images by name, and `INPUT_FORMATS` the kinds of files; installed packages add to them.
"""

from artifactlab.inputs.formats import INPUT_FORMATS, InputFile, InputFormat, Reading
from artifactlab.inputs.image_files import find_images
from artifactlab.inputs.images import read_image
from artifactlab.inputs.model_inputs import load_inputs
from artifactlab.inputs.probes import PROBES, make_probe
from artifactlab.inputs.sources import Selection, find_sources

__all__ = [
    "INPUT_FORMATS",
    "PROBES",
    "InputFile",
    "InputFormat",
    "Reading",
    "Selection",
    "find_images",
    "find_sources",
    "load_inputs",
    "make_probe",
    "read_image",
]
