"""Each image with what it should look like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from artifactlab.inputs.image_files import by_stem, find_images, refuse_names
from artifactlab.inputs.sources import ImageFile, Source

Pair = tuple[Source, "Source | None"]
"""An image, and its reference."""


def paired(files: Sequence[Path], reference: str | Path | None, recursive: bool) -> list[Pair]:
    """Each image file with the reference of the same stem.

    Raises:
        InputError: if images and references cannot be paired one to one.
    """
    if reference is None:
        return [(ImageFile(file), None) for file in files]
    # a folder among the images is one that could not be looked into, which its row says
    found = find_images([reference], recursive)
    refuse_names([str(path) for path in found if path.is_dir()], "cannot look into the references' folders")
    ours, theirs = by_stem([file for file in files if not file.is_dir()], "images"), by_stem(found, "references")
    refuse_names(sorted(ours.keys() - theirs.keys()), f"no reference in {str(reference)!r} for the images")
    refuse_names(sorted(theirs.keys() - ours.keys()), f"no image for the references in {str(reference)!r}")
    return [(ImageFile(file), ImageFile(theirs[file.stem]) if file.stem in theirs else None) for file in files]
