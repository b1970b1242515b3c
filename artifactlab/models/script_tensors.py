"""Tensors in the pickles of TorchScript files, checked against the records that hold their numbers.

Torch's reader of these files, unlike that of weights, believes both how many numbers a record has and which of them a
tensor takes (`torch/csrc/jit/serialization/unpickler.cpp`, seen in 2.13.0): a damaged file shows other memory.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from artifactlab.errors import shown
from artifactlab.models.pickle_program import PickleError

PLAIN = ("_rebuild_tensor_v2", "_rebuild_qtensor")
"""What makes a tensor of a storage, an offset, sizes and strides; whatever else torch rebuilds is refused."""
KINDS = {
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage", "QInt8Storage", "QUInt8Storage"), 1),
    **dict.fromkeys(("ShortStorage", "HalfStorage", "BFloat16Storage"), 2),
    **dict.fromkeys(("IntStorage", "FloatStorage", "QInt32Storage", "ComplexHalfStorage"), 4),
    **dict.fromkeys(("LongStorage", "DoubleStorage", "ComplexFloatStorage"), 8),
    "ComplexDoubleStorage": 16,
}
"""Bytes of one number, by what the file calls a record; torch's own classes of these names warn when they are asked."""


class _Storage(NamedTuple):
    """Numbers in a record."""

    numbers: int


class _Object:
    """Stands in for an object of any class, and keeps nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Object:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def check_tensors(records: zipfile.ZipFile, name: str) -> None:
    """Refuse a pickle with a tensor that takes numbers which are not in its record.

    Args:
        records: the file.
        name: the record of the pickle, `data.pkl` or `constants.pkl` of its folder; it was followed to its end, see
            `artifactlab.models.pickle_program.follow_pickle`.

    Raises:
        PickleError: with what is wrong.
    """
    folder = name.removesuffix(".pkl")
    sizes = {record.filename: record.file_size for record in records.infolist()}
    try:
        _Reader(records.read(name), folder, sizes).load()
    except PickleError:
        raise
    except Exception as error:  # unpickling raises whatever comes of objects that are used as something else
        raise PickleError("the pickle in it is damaged") from error


class _Reader(pickle.Unpickler):
    """Runs nothing: each class is a stand-in, and of functions only those are there that make tensors."""

    def __init__(self, content: bytes, folder: str, sizes: dict[str, int]) -> None:
        super().__init__(io.BytesIO(content))
        self._folder, self._sizes = folder, sizes

    def find_class(self, module: str, name: str) -> Any:
        if name in KINDS:
            return name
        if name in PLAIN:
            return _check_tensor
        if "rebuild" in name and name != "_rebuild_parameter":
            raise PickleError(f"a tensor in it is made by {shown(name)}; save one that is made of plain tensors")
        return _Object

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, count = pid
        if not 0 <= count * KINDS[kind] <= self._sizes[f"{self._folder}/{key}"]:
            raise PickleError("it claims more weights than its bytes can hold")
        return _Storage(count)


def _check_tensor(storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *rest: Any) -> _Object:
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or (0 not in shape and last >= storage.numbers):
        raise PickleError("a tensor in it reaches beyond its record")
    return _Object()
