"""What a file of tensors is packed in, told by its first bytes and never by its name."""

from __future__ import annotations

from enum import Enum

LARGEST_HEADER = 100_000_000
"""Bytes of a safetensors header at most; the library refuses longer ones."""
NEWEST_PICKLE = b"\x05"
"""The newest protocol of pickles; torch before 1.6 wrote one of them with nothing around it."""


class Container(Enum):
    """What tensors are packed in."""

    ZIP = "zip"
    """What `torch.save` and `torch.jit.save` write, numpy's `.npz`, and Keras's `.keras`."""
    PICKLE = "pickle"
    """What `torch.save` wrote before torch 1.6."""
    SAFETENSORS = "safetensors"
    """The length of a JSON object, that object, and the numbers."""


def container_of(start: bytes) -> Container | None:
    r"""What a file is packed in that starts with these bytes, of which 9 are enough; None where it is none of these.

    >>> container_of(b"PK\x03\x04....."), container_of(b"\x89PNG\r\n\x1a\n.")
    (<Container.ZIP: 'zip'>, None)
    """
    if start.startswith(b"PK\x03\x04"):
        return Container.ZIP
    if start.startswith(b"\x80") and start[1:2] <= NEWEST_PICKLE:
        return Container.PICKLE
    is_header = start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= LARGEST_HEADER
    return Container.SAFETENSORS if is_header else None
