"""Models: opened from what a user names, and run on inputs without leaving a trace in them."""

from artifactlab.models.checkpoint import read_checkpoint
from artifactlab.models.factory import load_model

__all__ = ["load_model", "read_checkpoint"]
