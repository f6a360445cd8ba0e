"""An objective on its way to workers: a small one goes with every task.

A large one is written to a file, once, which workers on this machine map into their memory, all the same one; a worker that
doesn't see the file asks, and gets the objective with its task.
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

_INLINE = 2**16  # an objective of at most so many bytes goes with every task
_ALIGNED = 64  # arrays begin at multiples of so many bytes, which engines of arithmetic ask for
_AT_ONCE = 2**24


class PackedObjective(NamedTuple):
    """A packed objective."""

    name: str  # says what is in it
    body: bytes  # the pickled objective without its arrays
    arrays: Sequence[memoryview]  # the memory of its arrays, where it lies

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.body) + sum(array.nbytes for array in self.arrays)

    def inline(self, *, whole: bool = False) -> bytes | None:
        """What goes with a task: one string of bytes if it is small, or if all of it is wanted; else ``None``."""
        if not whole and self.size > _INLINE:
            return None
        return pickle.dumps((self.body, [(bytes(array), array.readonly) for array in self.arrays]))

    def write(self, folder: Path) -> str | None:
        """Writes it to a file named by its content; ``None`` where there is no room."""
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
    """Packs an objective by value, so that it may be defined in a script or notebook. Raises ObjectiveError: it can't be pickled."""
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    try:
        body = bytes(cloudpickle.dumps(objective, protocol=5, buffer_callback=buffers.append))
    except Exception as error:
        raise ObjectiveError(
            f"an objective must be picklable to travel to workers, but {type(error).__name__}: {error}; build what "
            "can't travel inside the function, or run with workers=1 and neither timeout nor memory"
        ) from error
    arrays = [buffer.raw() for buffer in buffers]
    content = hashlib.sha256(body)
    for array in arrays:
        content.update(array)
    return PackedObjective(content.hexdigest(), body, arrays)


def unpack(inline: bytes | None, path: str | None) -> Objective | None:
    """The objective, as far as it is here; ``None`` where it has to be sent.

    Arrays that were read-only share the file's memory; others are copies, as the objective may change them.
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
