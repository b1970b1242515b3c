"""Where images come from: files here or at URLs, shards, tables, manifests, videos, stacks and volumes.

Each kind is one small file that lists what there is without reading it, as sources that any process can open.
"""

from artifactlab.inputs.sources.files import ImageFile
from artifactlab.inputs.sources.find import find_sources
from artifactlab.inputs.sources.source import Entry, Selection, Source

__all__ = ["Entry", "ImageFile", "Selection", "Source", "find_sources"]
