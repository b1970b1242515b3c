"""The one place that writes files: complete as soon as they are there, or not there at all.

A draft in the same folder gets a name that nobody can guess, is made by this process or not at all (no link there is
followed), and takes the target's place when it is complete. What was typed is followed where it is a link, as a shell's
`>` does; names that are made up from it are not: a link there gives way to the file.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from artifactlab.errors import InputError

ROOM = bytes(4096)
"""What is written to see whether there is room for anything: a full disk gives an empty file, and no block."""

OPEN_FILES = (("dev", "stdout"), ("dev", "stderr"), ("dev", "fd"), ("proc", "self"))
"""How paths begin of files that this process has open; a shell may have led them to a log that must go on."""


def refuse_unwritable(target: Path) -> None:
    """Raise an InputError, before any work is done, where `write_files` could not write; nothing is left behind."""
    try:
        if not _is_special(target):
            _refuse_folder(target)
            if target.exists() and not target.is_symlink():
                os.close(os.open(target, os.O_WRONLY))  # it may be write-protected
            refuse_unwritable_folder(target.parent)
    except (OSError, ValueError) as error:
        raise error if isinstance(error, InputError) else _refusal(target, error) from error


def refuse_unwritable_folder(folder: Path) -> None:
    """Raise an InputError where no file can be made, by really making one: permissions do not tell all."""
    try:
        _draft(folder, ROOM, None).unlink()
    except OSError as error:
        raise InputError(f"cannot write into {str(folder)!r}: {error.strerror or error}; give another path") from error


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files, all or none of them; a file that was there keeps its permissions, others follow the umask.

    Args:
        contents: what to write, by its path; use `followed` on one that a user typed.

    Raises:
        InputError: if one of them cannot be written; those that were there are then as they were.
    """
    drafts: dict[Path, Path] = {}
    target = Path()
    try:
        for target, content in contents.items():
            if _is_special(target):  # /dev/null must not be replaced by a file, nor what /dev/stdout was led to
                with target.open("ab") as stream:
                    stream.write(content)
            else:
                _refuse_folder(target)
                drafts[target] = _draft(target.parent, content, _permissions(target))
        for target in list(drafts):
            os.replace(drafts[target], target)
            del drafts[target]
    except BrokenPipeError:
        raise  # no mistake: whoever read a pipe has had enough
    except (OSError, ValueError) as error:
        raise error if isinstance(error, InputError) else _refusal(target, error) from error
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def refuse_unwritable_new_folder(folder: Path) -> None:
    """Raise an InputError, before any work is done, where `write_folder` could not write."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"cannot write to {str(folder)!r}: it is there already; give a folder that is new or empty")
    if not folder.parent.is_dir():
        raise InputError(f"cannot write {str(folder)!r}: there is no folder {str(folder.parent)!r}; make it first")
    refuse_unwritable_folder(folder.parent)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a new folder with all its files, or nothing.

    Args:
        folder: is not there, or empty.
        contents: what to write, by the name in the folder.

    Raises:
        InputError: if it cannot be written, or something is there.
    """
    refuse_unwritable_new_folder(folder)
    draft = folder.parent / f".artifactlab-{secrets.token_hex(8)}.part"
    try:
        draft.mkdir()
        for name, content in contents.items():
            (draft / name).write_bytes(content)
        with suppress(FileNotFoundError):
            folder.rmdir()  # an empty one gives way; what somebody has put there by now stays
        os.rename(draft, folder)
    except OSError as error:
        raise _refusal(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def followed(target: Path) -> Path:
    """Where a path leads that a user typed; a link that leads nowhere, to where its file would be."""
    with suppress(OSError, ValueError):  # as refuse_unwritable will say
        if target.is_symlink() and not _is_special(target):  # where /dev/stdout leads has no path
            return Path(os.path.realpath(target))
    return target


def _refuse_folder(target: Path) -> None:
    if target.is_dir():
        raise InputError(f"cannot write to {str(target)!r}: it is a folder; give a file for -o")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {str(target)!r}: there is no folder {str(target.parent)!r}; make it first")


def _is_special(target: Path) -> bool:
    """Whether something is there that is written into and not replaced: a device, a pipe, a file that is open."""
    if target.is_absolute() and target.parts[1:3] in OPEN_FILES:
        return target.exists()
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _permissions(target: Path) -> int | None:
    """Those of a regular file that is there; a link is about to be replaced, and its target's are not its own."""
    with suppress(FileNotFoundError):
        mode = os.lstat(target).st_mode
        return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None
    return None


def _draft(folder: Path, content: bytes, permissions: int | None) -> Path:
    """A new file with a content, which nobody but this process has made; none is left where it cannot be written."""
    path = folder / f".artifactlab-{secrets.token_hex(8)}.part"
    try:
        with path.open("xb") as file:  # x: not where anything is, not even a link
            file.write(content)
        if permissions is not None:
            path.chmod(permissions)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return path


def _refusal(target: Path, error: OSError | ValueError) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return InputError(f"cannot write {str(target)!r}: {reason}; give another path")
