"""Rounds that are to be taken over, looked at once and kept in a file until they are written.

Whoever takes them over sees what was checked, however long that took and whatever became of the folder or
tree meanwhile; a store is locked only while they are written; and nobody holds more than a block of rows in
memory.
"""

from __future__ import annotations

import pickle
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from refine.errors import StoreError
from refine.store.rows import BLOCK, Again, Part, Row, blocks
from refine.store.schema import metadata
from refine.store.validity import fault_of, faults_of
from refine.utils.files import writing

_IN_MEMORY = 2**25  # bytes up to which there is no file: most trees are small


@contextmanager
def kept(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Rounds, each gone through once, to be gone through any number of times while the block runs, in the same order.

    The file has no name, is nobody else's to open, and is gone with the process. Of packed rows it takes a
    tenth of what they take in an exported folder. Raises StoreError: one of them can't be taken over as it
    is, whatever it was made of; or the temporary folder is full.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        places: list[tuple[Row, dict[str, list[int]]]] = []
        for part in parts:
            if text := fault_of(metadata.tables["node"], part.row):
                raise _refused(part, "node", 0, text)
            found: dict[str, list[int]] = {}
            for name, rows in part.rows.items():
                for number, some in enumerate(blocks(rows)):
                    for i, text in faults_of(metadata.tables[name], some).items():
                        raise _refused(part, name, number * BLOCK + i, text)
                    found.setdefault(name, []).append(file.tell())
                    packed = zlib.compress(pickle.dumps(some, pickle.HIGHEST_PROTOCOL), 1)
                    with writing(Path(tempfile.gettempdir())):
                        file.write(len(packed).to_bytes(8) + packed)
            places.append((part.row, found))

        def read(at: list[int]) -> Iterator[Row]:
            for place in at:
                file.seek(place)
                yield from pickle.loads(zlib.decompress(file.read(int.from_bytes(file.read(8)))))

        yield [
            Part(row, {name: Again(partial(read, at)) for name, at in found.items()}) for row, found in places
        ]


def _refused(part: Part, table: str, number: int, text: str) -> StoreError:
    return StoreError(
        f"round {part.id}: {table} {number + 1}: {text}; nothing was written: correct it where it comes from"
    )
