"""Files that are written whole or not at all, and what to do where they can't be."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from refine.errors import StoreError

_WAY_OUT = {
    errno.ENOSPC: "make room, or give a folder on another disk",
    errno.EDQUOT: "make room within your quota, or give a folder elsewhere",
    errno.EROFS: "give a folder on a medium that can be written",
    errno.EACCES: "give a folder that you may write into",
    errno.EPERM: "give a folder that you may write into",
    errno.ENAMETOOLONG: "give a shorter path",
}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into a :class:`StoreError` that names the place and the way out."""
    try:
        yield
    except OSError as error:
        way = _WAY_OUT.get(error.errno or 0, "give another folder")
        raise StoreError(
            f"{path}: can't be written: {error.strerror or error}; what stood there before is as it was; {way}"
        ) from error


def write_whole(path: Path, content: bytes | Iterable[str]) -> Path:
    """Writes a file beside and renames it: whoever reads sees the old one or the new one, whatever happens meanwhile.

    The folder exists; a link is replaced, not written through; text is UTF-8 with plain line breaks. Raises StoreError: the disk is
    full, or the place can't be written.
    """
    beside = path.parent / f".{path.name}.part"
    with writing(path):
        beside.unlink(missing_ok=True)  # of a process that was killed; or a link, which leads elsewhere
        try:
            with beside.open("xb") as file:
                file.writelines(
                    [content] if isinstance(content, bytes) else (piece.encode() for piece in content)
                )
            beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    return path


def made_folder(folder: str | os.PathLike[str]) -> Path:
    """A folder, created if need be with those above it. Raises StoreError: it can't be."""
    path = Path(folder)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path
