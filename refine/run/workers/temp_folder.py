"""A temporary folder of a run: nobody else's to read, and swept by the next run where this one was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "refine-run-"
# A file in it that is locked for as long as its process lives, wherever that is: the kernel lets go of it.
_LOCK = "held"


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that only this user can enter, while the block runs. What killed processes of this user left is removed first."""
    with contextlib.suppress(OSError):
        sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lock = _held(folder / _LOCK, make=True)
        try:
            yield folder
        finally:
            if lock is not None:
                os.close(lock)


def sweep(where: Path) -> int:
    """Removes this user's folders of runs whose process is gone. Returns: how many."""
    found = 0
    for folder in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
                continue
            if (lock := _held(folder / _LOCK)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
                found += 1
    return found


def _held(path: Path, *, make: bool = False) -> int | None:
    """The file, locked; ``None`` where somebody else has locked it, it is not there, or files can't be locked here."""
    try:
        import fcntl
    except ImportError:
        return None
    fresh = path.with_suffix(".new")
    try:
        file = os.open(fresh if make else path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if make:
            fresh.replace(path)  # nobody sees it before it is locked
    except OSError:
        os.close(file)
        return None
    return file
