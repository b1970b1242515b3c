"""Files that `torch.save` wrote, read as data: nothing in them runs, and no size is believed before it is checked."""

from __future__ import annotations

import io
import mmap
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from artifactlab.errors import ModelError, first_line
from artifactlab.models.containers import Container, container_of
from artifactlab.models.pickle_program import PickleError, follow_pickle
from artifactlab.models.zip_records import check_directory, check_sums

MAX_STRUCTURE = 1 << 28
"""Bytes of everything but the numbers: names and shapes, of which a thousand layers have less than one MB."""
PICKLES_OF_OLD = 5
"""What torch before 1.6 wrote one after the other: magic number, version, system, content, names of what follows."""
ADVICE = ("weights_only", "add_safe_globals", "safe_globals")
"""Torch's errors recommend to run what the file brings along."""


def read_torch_file(path: Path) -> Any:
    """What `torch.save` wrote, its tensors on the CPU and mapped from the file until they are used.

    Raises:
        ModelError: if the file is damaged, needs unpickling, or is larger unpacked than packed.
    """
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError(
            f"checkpoint {path} was refused: torch {torch.__version__} can be made to run code by a file even with"
            " weights_only=True (CVE-2025-32434); use torch 2.6 or newer, or .safetensors"
        )
    try:
        zipped = _checked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged pickle torch warns that it is of another protocol
            return torch.load(path, map_location=_Counted(path), weights_only=True, mmap=zipped)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"checkpoint {path} was refused: it needs unpickling, which runs code from the file ({_refused(error)}). "
            "Save the weights alone (torch.save(model.state_dict(), ...)) or as .safetensors, where you trust the file"
        ) from error
    except Exception as error:  # torch raises whatever comes of running a damaged pickle
        raise ModelError(f"checkpoint {path} cannot be read: {_without_advice(error)}") from error


class _Counted:
    """Where storages go, the CPU; called with each before it is filled, and refuses more than the file can hold."""

    def __init__(self, path: Path) -> None:
        self.path, self.left = path, path.stat().st_size

    def __call__(self, storage: Any, location: str) -> Any:
        self.left -= storage.nbytes()
        if self.left < 0:
            raise ModelError(f"checkpoint {self.path} cannot be read: it claims more weights than its bytes can hold")
        return storage


def _checked(path: Path) -> bool:
    """Whether the file is a zip, of which all sizes are checked; other ones are the pickles of before torch 1.6."""
    with path.open("rb") as file:
        container = container_of(file.read(4))
        if container is Container.ZIP:
            _check_zip(file, path.stat().st_size)
            return True
        if container is not Container.PICKLE:
            raise PickleError("nothing that torch.save wrote starts like this")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # reads no more than there is
            for _ in range(PICKLES_OF_OLD):
                follow_pickle(content, 2 * len(content))  # type: ignore[arg-type]
    return False


def _check_zip(file: IO[bytes], size: int) -> None:
    """Compare what the directory says with the file's size, and the records with their checksums."""
    with zipfile.ZipFile(file) as records:
        listed = records.infolist()
        names = [record.filename.lower() for record in listed]
        if any(name.endswith("constants.pkl") for name in names):
            raise PickleError("it is a TorchScript archive, which is a program; save its state_dict() alone")
        check_directory(file, records, size)
        structure = [record for record, name in zip(listed, names, strict=True) if "/data/" not in name]
        if sum(record.file_size for record in structure) > MAX_STRUCTURE:
            raise PickleError(f"its structure takes more than {MAX_STRUCTURE} bytes; save the weights alone")
        check_sums(records)
        content = [record for record, name in zip(listed, names, strict=True) if name.endswith("/data.pkl")]
        if len(content) != 1:
            raise PickleError("nothing that torch.save wrote: it holds no data.pkl")
        follow_pickle(io.BytesIO(records.read(content[0])), 2 * size)


def _refused(error: Exception) -> str:
    """The global that the safe unpickler refused, as torch's message names it."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    text = (named or ["unsupported content"])[0]
    return text.split("Please use")[0].removeprefix("WeightsUnpickler error:").strip().rstrip(".")


def _without_advice(error: Exception) -> str:
    text = first_line(error)
    return f"it is damaged ({type(error).__name__})" if not text or any(word in text for word in ADVICE) else text
