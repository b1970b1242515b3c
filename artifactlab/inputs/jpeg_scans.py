"""The scans of a progressive JPEG (ITU-T T.81, annex G): whether there are too many, and whether they were completed.

A progressive JPEG brings its coefficients first coarsely and then bit by bit. One that is cut between two scans, with
an end marker behind, is a valid file of less precision; a decoder has nothing to complain of.
"""

from __future__ import annotations

from artifactlab.inputs.image_headers import JPEG_MARKER, JPEG_PROGRESSIVE, JPEG_WITHOUT_SEGMENT

MAX_SCANS = 500
"""Most scans that are decoded: encoders write about ten, and each costs time for the whole image, however few its
bytes; it is where libjpeg-turbo's own fuzzers stop, too."""
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def damage_of_scans(data: bytes) -> str | None:
    """What is wrong with the scans of a JPEG, in words; None where nothing is, or it is not progressive.

    Args:
        data: a whole JPEG file whose header could be read.

    >>> damage_of_scans(b"\\xff\\xd8\\xff\\xd9") is None
    True
    """
    precision: dict[tuple[int, int], int] = {}
    progressive, scans, position = False, 0, 2
    while (found := JPEG_MARKER.search(data, position)) and data[found.start() + 1] != END_OF_IMAGE:
        marker, position = data[found.start() + 1], found.end()
        if marker in JPEG_WITHOUT_SEGMENT:
            continue
        segment = data[position + 2 : position + int.from_bytes(data[position : position + 2], "big")]
        position += 2 + len(segment)
        progressive = progressive or marker in JPEG_PROGRESSIVE
        if marker == START_OF_SCAN:
            scans += 1
            if scans > MAX_SCANS:
                return f"more than {MAX_SCANS} scans"
            precision.update(_brought_by(segment))
    return "scans that bring the last bits are missing" if progressive and any(precision.values()) else None


def _brought_by(scan: bytes) -> dict[tuple[int, int], int]:
    """How many bits of each (component, coefficient) are still to come after a scan, by its header."""
    if not scan or len(scan) < 4 + 2 * scan[0]:
        return {}
    components = [scan[1 + 2 * index] for index in range(scan[0])]
    first, last, bits = scan[-3:]
    return {(component, k): bits & 15 for component in components for k in range(first, min(last, 63) + 1)}
