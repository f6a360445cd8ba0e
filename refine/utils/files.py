"""Files written whole or not at all, and the fixes for places that can't be written."""

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

_LONGEST_NAME = 255  # bytes
_LONGEST_PATH = 4095  # bytes, on Linux


def possible_path(place: str | os.PathLike[str], role: str, example: str) -> Path:
    """``place`` as a path that a file system can hold, in its ``role``: ``"folder"``.

    Raises:
        StoreError: Not a path, or a path with a zero byte, without an encoding, or of too many bytes.
    """
    if not isinstance(place, str | os.PathLike):
        raise StoreError(f"a {role} is given by its path, got {place!r:.40}; such as {example!r}")
    path = Path(place)
    if not _is_possible(path):
        raise StoreError(
            f"a {role} must have a possible path, got {str(path)!r:.40}; for example {example!r}"
        )
    return path


def _is_possible(path: Path) -> bool:
    try:
        names = [os.fsencode(name) for name in path.parts]
    except UnicodeEncodeError:
        return False
    longest = max(map(len, names), default=0)
    return (
        b"\0" not in b"".join(names) and longest <= _LONGEST_NAME and len(os.fsencode(path)) <= _LONGEST_PATH
    )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns errors of the file system into a :class:`StoreError` with the place and a fix."""
    try:
        yield
    except OSError as error:
        fix = _WAY_OUT.get(error.errno or 0, "give another folder")
        raise StoreError(
            f"{path}: can't be written: {error.strerror or error}; the old content is unchanged; {fix}"
        ) from error


def write_whole(path: Path, content: bytes | Iterable[str]) -> Path:
    """Writes a file under a temporary name and renames the result: readers see the old or the new file.

    The folder must exist. A link is replaced, not followed. Text is UTF-8 with plain line breaks.

    Raises:
        StoreError: The disk is full, or the place can't be written.
    """
    part_file = path.parent / f".{path.name}.part"
    with writing(path):
        part_file.unlink(missing_ok=True)  # left by a killed process; or a link to another place
        try:
            with part_file.open("xb") as file:
                file.writelines(
                    [content] if isinstance(content, bytes) else (piece.encode() for piece in content)
                )
            part_file.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part_file.unlink(missing_ok=True)
            raise
    return path


def made_folder(folder: str | os.PathLike[str]) -> Path:
    """A folder, created with its parents if missing; StoreError if impossible."""
    path = Path(folder)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path
