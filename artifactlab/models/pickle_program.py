"""Pickles followed without running them: what they would build, before anything is built."""

from __future__ import annotations

import pickletools
from collections.abc import Iterable
from typing import IO, NamedTuple

MAX_DEPTH = 500
"""Containers inside containers. Checkpoints have ten; from some thousands on, hashing a key overflows C's stack."""
MAX_SHARING = 1000
"""How many objects a byte may stand for, what is shared being counted wherever it is met. State dicts are shared by a
few names; tuples of twice the same tuple double with every step, and hashing one as a key takes as long."""
MAX_PROTOCOL = 3
"""The newest protocol that torch's safe unpickler follows; torch.save writes 2."""
UNBOUNDED = ("builtins bytearray", "__builtin__ bytearray")
"""What torch's safe unpickler may call with a number, and fills that many bytes."""
PUTS, GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
IN_PLACE = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")


class PickleError(ValueError):
    """A pickle that would not end, or fill the memory, or that is none."""


class _Built(NamedTuple):
    """An object on the stack."""

    depth: int = 0
    size: int = 1
    largest: int = 0
    """The largest number in it."""


def follow_pickle(stream: IO[bytes], most: int) -> None:
    """Read one pickle up to its end.

    Args:
        stream: where it starts.
        most: how many weights there can be.

    Raises:
        PickleError: if it is damaged, or what it builds is nested or shared beyond all measure.
    """
    start = stream.tell()
    stack: list[_Built | None] = []  # None is a mark
    memo: dict[object, _Built] = {}
    try:
        for opcode, argument, position in pickletools.genops(stream):
            if opcode.name == "GLOBAL" and argument in UNBOUNDED:
                raise PickleError(f"it makes a {str(argument).split()[1]} of any size, which weights have no need of")
            if opcode.name == "PROTO" and argument and argument > MAX_PROTOCOL:
                raise PickleError(f"its pickle is of protocol {argument}, which torch does not read; save it without")
            if opcode.name == "BINPERSID" and (stack[-1] or _Built()).largest > most:  # (..., number of weights, ...)
                raise PickleError("it claims more weights than its bytes can hold")
            _step(opcode, argument, stack, memo, (position or 0) - start + 1)
    except (IndexError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise error if isinstance(error, PickleError) else PickleError("the pickle in it is damaged") from error


def _step(
    opcode: pickletools.OpcodeInfo,
    argument: object,
    stack: list[_Built | None],
    memo: dict[object, _Built],
    read: int,
) -> None:
    if opcode.name in PUTS:
        memo[argument] = stack[-1] or _Built()
    elif opcode.name in GETS:
        stack.append(memo[argument])
    elif opcode.name == "MARK":
        stack.append(None)
    else:
        taken = _taken(opcode, stack)
        made = _built(taken, opcode.name in IN_PLACE, read)
        made = made._replace(largest=argument) if isinstance(argument, int) else made
        stack += [made] * len(opcode.stack_after)


def _taken(opcode: pickletools.OpcodeInfo, stack: list[_Built | None]) -> list[_Built]:
    """What an operation takes from the stack, the first first."""
    before = opcode.stack_before
    if pickletools.markobject not in before:
        return [stack.pop() or _Built() for _ in before][::-1]
    taken = []
    while (top := stack.pop()) is not None:
        taken.append(top)
    return taken[::-1] if before[0] is pickletools.markobject else [stack.pop() or _Built(), *taken[::-1]]


def _built(taken: list[_Built], in_place: bool, read: int) -> _Built:
    inside: Iterable[_Built] = taken[1:] if in_place else taken
    depth = 1 + max((item.depth for item in inside), default=-1)
    depth = max(depth, taken[0].depth) if in_place else depth
    size = 1 + sum(item.size for item in taken)
    if depth > MAX_DEPTH or size > MAX_SHARING * read:
        raise PickleError("what it holds is nested or repeated without end")
    return _Built(depth, size, max((item.largest for item in taken), default=0))
