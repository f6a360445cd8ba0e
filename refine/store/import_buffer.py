"""Rounds to be imported, checked once and buffered in a file until they are written.

So the import writes the rows that were checked, even if the folder or tree changes meanwhile. The store is
locked only while writing, and memory holds one block of rows at a time.
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
from refine.store.rows import BLOCK, NodeBundle, ReiterableQuery, Row, blocks
from refine.store.schema import metadata
from refine.store.validity import fault_of, faults_of
from refine.utils.files import writing

_IN_MEMORY = 2**25  # largest buffer in memory, in bytes; larger trees use a file


@contextmanager
def kept(parts: Iterable[NodeBundle]) -> Iterator[list[NodeBundle]]:
    """Rounds that are read and checked once, and can be iterated over several times inside the block.

    The buffer is a file without a name, private to the process and gone with it. It takes a tenth of the
    space of an exported folder.

    Raises StoreError: a round breaks a rule, or the temporary folder is full.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        places: list[tuple[Row, dict[str, list[int]]]] = []
        for part in parts:
            if text := fault_of(metadata.tables["node"], part.row):
                raise _refused(part, "node", 0, text)
            positions: dict[str, list[int]] = {}
            for name, rows in part.rows.items():
                for number, some in enumerate(blocks(rows)):
                    for i, text in faults_of(metadata.tables[name], some).items():
                        raise _refused(part, name, number * BLOCK + i, text)
                    positions.setdefault(name, []).append(file.tell())
                    packed = zlib.compress(pickle.dumps(some, pickle.HIGHEST_PROTOCOL), 1)
                    with writing(Path(tempfile.gettempdir())):
                        file.write(len(packed).to_bytes(8) + packed)
            places.append((part.row, positions))

        def read(row_positions: list[int]) -> Iterator[Row]:
            for position in row_positions:
                file.seek(position)
                yield from pickle.loads(zlib.decompress(file.read(int.from_bytes(file.read(8)))))

        yield [
            NodeBundle(
                row,
                {
                    name: ReiterableQuery(partial(read, row_positions))
                    for name, row_positions in positions.items()
                },
            )
            for row, positions in places
        ]


def _refused(part: NodeBundle, table: str, number: int, text: str) -> StoreError:
    return StoreError(
        f"round {part.id}: {table} {number + 1}: {text}; nothing was written: correct it where it comes from"
    )
