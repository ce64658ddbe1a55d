"""`tensor_shapes` of a safetensors file, from a header that is checked before any memory is allocated.

Format: 8 bytes of header length, little-endian; a JSON object of name -> dtype, shape and position; the
tensors.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["at_most", "refuse_huge", "tensor_shapes"]


_MOST_HEADER_BYTES = 64 << 20
_MOST_LAYERS = 2048
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
          "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}  # fmt: skip


def tensor_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor. Raises MediaError if the header doesn't match the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _MOST_HEADER_BYTES):
            raise MediaError(
                f"{path}: is not a safetensors file: a header of {length} bytes in a file of {size}"
            )
        header = file.read(length)
    try:
        table = json.loads(header)
        table.pop("__metadata__", None)
        places = sorted((_place(entry), name) for name, entry in table.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MediaError(f"{path}: is not a safetensors file: its header can't be read") from error
    end = 0
    for (start, stop, expected), name in places:
        if start != end or stop - start != expected:
            raise MediaError(
                f"{path}: its header gives tensor {name} another place or size than its shape needs"
            )
        end = stop
    if end != size - 8 - length:
        raise MediaError(
            f"{path}: its header tells of {end} bytes of tensors, and there are {size - 8 - length}"
        )
    return {name: tuple(entry["shape"]) for name, entry in table.items()}


def _place(entry: dict[str, Any]) -> tuple[int, int, int]:
    """(first byte, one past the last, number of bytes its shape needs)."""
    start, stop = entry["data_offsets"]
    if not all(isinstance(n, int) and n >= 0 for n in (start, stop, *entry["shape"])):
        raise ValueError(entry)
    return start, stop, math.prod(entry["shape"]) * _BYTES[entry["dtype"]]


def refuse_huge(path: str, settings: dict[str, Any]) -> None:
    """Raise MediaError if a card's settings describe a network that is too large for any machine."""
    for name, value in settings.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int) and not -_MOST_LAYERS <= number <= _MOST_LAYERS:
                raise MediaError(f"{path}: its card says {name} = {number}; expected at most {_MOST_LAYERS}")


@contextmanager
def at_most(numbers: int, said: str) -> Iterator[None]:
    """Limit the number of parameters of networks created inside the context.

    Raises MediaError with the text `said` as soon as the limit is exceeded.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    left = numbers

    def count(_: object, name: str, parameter: Any) -> None:
        nonlocal left
        left -= 0 if parameter is None else parameter.numel()
        if left < 0:
            raise MediaError(
                f"{said}, which asks for more than the {numbers} numbers that are there, with {name}"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
