"""Models: opened from what a user names, and run on inputs without leaving a trace in them.

`MODEL_FORMATS` has the formats of model files by name; installed packages add to them.
"""

from artifactlab.models.checkpoint import read_checkpoint
from artifactlab.models.factory import load_model
from artifactlab.models.formats import MODEL_FORMATS, ModelFormat

__all__ = ["MODEL_FORMATS", "ModelFormat", "load_model", "read_checkpoint"]
