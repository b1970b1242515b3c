"""One image to one row of scores, whatever happens."""

from __future__ import annotations

from dataclasses import dataclass

from artifactlab.errors import InputError, first_line
from artifactlab.inputs.images import MIN_SIDE, Picture
from artifactlab.inputs.sources import Source
from artifactlab.scoring.measures import measure
from artifactlab.scoring.score_report import ImageScore

JPEG_BLOCK = 8
"""Pixels per side of the blocks that a JPEG is coded in (ITU-T T.81)."""
JPEG_NOTE = "period 8 is that of JPEG's own blocks, too: score the image before it is compressed"


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be measured of one image."""

    source: Source
    """The image."""
    reference: Source | None
    """What it should look like; None where it is compared with nothing."""
    metrics: tuple[str, ...]
    """Names of the metrics."""
    max_pixels: int
    """Larger images are refused by their headers."""
    device: str = "cpu"
    """Where the sums are taken."""
    digested: bool = False
    """Whether its row has the digest of its content, which takes another read of the file."""


def scored(job: Job) -> ImageScore:
    """The row of an image, with an error where it cannot be scored; nothing of the image outlives it."""
    name = job.source.name
    try:
        return _measured(job)
    except InputError as error:
        why = str(error)
    except MemoryError:
        why = f"there is not enough memory for image {name!r}; score a crop of it"
    except Exception as error:  # a defect of ours must not lose the other rows
        why = f"cannot score image {name!r}: unexpected {type(error).__name__}: {first_line(error)}"
    return ImageScore(name, dict.fromkeys(job.metrics), why)


def digest_of(job: Job) -> str:
    """What its row has to be made of: the digest of the image, and after a colon that of its reference.

    Raises:
        InputError: if one cannot be read.
    """
    return ":".join(source.digest() for source in (job.source, job.reference) if source is not None)


def lost(job: Job) -> ImageScore:
    """The row of an image at which two worker processes died."""
    name = job.source.name
    error = f"image {name!r}: its worker process was killed, twice; out of memory? try --workers 1 / workers=1"
    return ImageScore(name, dict.fromkeys(job.metrics), error)


def not_run(job: Job, why: Exception) -> ImageScore:
    """The row of an image that a machine cannot even begin to score."""
    name = job.source.name
    error = f"cannot score image {name!r}: {type(why).__name__}: {first_line(why)}; is all installed on every machine?"
    return ImageScore(name, dict.fromkeys(job.metrics), error)


def _measured(job: Job) -> ImageScore:
    # before the pixels: what changes between the two is scored again by --resume, and not taken for what it was
    digest = digest_of(job) if job.digested else None
    picture = job.source.open(job.max_pixels)
    reference = None if job.reference is None else job.reference.open(job.max_pixels)
    _check_sizes(picture, reference, job)
    scores, window = measure(picture, reference, job.metrics, job.device)
    may_be_jpegs_own = picture.jpeg and scores.get("period") == JPEG_BLOCK
    notes = [picture.note, JPEG_NOTE if may_be_jpegs_own else None]
    return ImageScore(job.source.name, scores, None, "; ".join(filter(None, notes)) or None, window, digest)


def _check_sizes(picture: Picture, reference: Picture | None, job: Job) -> None:
    height, width = picture.size
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"image {job.source.name!r} is too small: {width}x{height} pixels, the minimum is {MIN_SIDE}x{MIN_SIDE}"
        )
    if job.reference is not None and reference is not None and reference.size != picture.size:
        raise InputError(
            f"image {job.source.name!r} has {width}x{height} pixels, its reference {job.reference.name!r} "
            f"{reference.size[1]}x{reference.size[0]}; they must be of one size"
        )
