"""Objectives packed for workers.

A small objective is sent with every task. A large objective is written to a file once, and workers on this
machine map the file into memory. A worker without access to the file asks for the objective, and gets it with
the task.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from refine.errors import ObjectiveError
from refine.run.protocols import Objective

_INLINE = 2**16  # bytes up to which an objective is sent with every task
_ALIGNED = 64  # arrays begin at multiples of this many bytes, as numerical libraries require
_AT_ONCE = 2**24  # bytes that are written at once


class PackedObjective(NamedTuple):
    """A packed objective."""

    name: str  # hash of its content
    body: bytes  # the pickled objective without its arrays
    arrays: Sequence[memoryview]  # the memory of its arrays, not copied

    @property
    def size(self) -> int:
        """Bytes of the body and the arrays."""
        return len(self.body) + sum(array.nbytes for array in self.arrays)

    def inline(self, *, any_size: bool = False) -> bytes | None:
        """The objective as bytes to send with a task; ``None`` for a large one, unless ``any_size``."""
        if not any_size and self.size > _INLINE:
            return None
        return pickle.dumps((self.body, [(bytes(array), array.readonly) for array in self.arrays]))

    def write(self, folder: Path) -> str | None:
        """Writes the objective to a file named by its content, and returns the path.

        ``None`` without room.
        """
        path = folder / self.name
        places = []
        try:
            with path.open("wb") as file:
                for array in self.arrays:
                    file.write(bytes(-file.tell() % _ALIGNED))
                    places.append((file.tell(), array.nbytes, array.readonly))
                    for start in range(0, array.nbytes, _AT_ONCE):
                        file.write(array[start : start + _AT_ONCE])
                index = pickle.dumps((self.body, places))
                file.write(index)
                file.write(len(index).to_bytes(8, "little"))
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return str(path)


def pack(objective: Objective) -> PackedObjective:
    """Packs an objective by value, so that scripts and notebooks may define it.

    Raises ObjectiveError: the objective cannot be pickled.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    try:
        body = bytes(cloudpickle.dumps(objective, protocol=5, buffer_callback=buffers.append))
    except Exception as error:
        raise ObjectiveError(
            f"an objective must be picklable for workers, but {type(error).__name__}: {error}; create "
            "objects that cannot be pickled inside the function, or run with workers=1 and neither timeout "
            "nor memory"
        ) from error
    arrays = [buffer.raw() for buffer in buffers]
    content = hashlib.sha256(body)
    for array in arrays:
        content.update(array)
    return PackedObjective(content.hexdigest(), body, arrays)


def unpack(inline: bytes | None, path: str | None) -> Objective | None:
    """The objective of an inline pack or a file; ``None`` if the worker does not see the file.

    Read-only arrays share the file's memory; others are copies, since the objective may change them.
    """
    if inline is not None:
        body, arrays = pickle.loads(inline)
        return pickle.loads(body, buffers=[data if fixed else bytearray(data) for data, fixed in arrays])
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:
        return None
    length = int.from_bytes(mapped[-8:], "little")
    body, places = pickle.loads(mapped[-8 - length : -8])
    parts = [(mapped[start : start + size], fixed) for start, size, fixed in places]
    return pickle.loads(body, buffers=[part if fixed else bytearray(part) for part, fixed in parts])
