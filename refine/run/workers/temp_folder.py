"""The temporary folder of a run: private to this user.

If the run is killed, the next run removes its folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "refine-run-"
_LOCK = "held"  # file in the folder that is locked while its process lives: the kernel releases the lock


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder, inside the block, that only this user can enter.

    Folders of this user's killed processes are removed first.
    """
    with contextlib.suppress(OSError):
        sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lock = _locked(folder / _LOCK, make=True)
        try:
            yield folder
        finally:
            if lock is not None:
                os.close(lock)


def sweep(parent: Path) -> int:
    """Removes this user's folders of ended runs, and returns their number."""
    removed = 0
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
                continue
            lock = _locked(folder / _LOCK)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
                removed += 1
    return removed


def _locked(path: Path, *, make: bool = False) -> int | None:
    """The descriptor of a locked file.

    ``None`` if another process has the lock, or the file cannot be locked.
    """
    try:
        import fcntl
    except ImportError:
        return None
    unlocked = path.with_suffix(".new")
    try:
        file = os.open(unlocked if make else path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if make:
            unlocked.replace(path)  # under its final name only once it is locked
    except OSError:
        os.close(file)
        return None
    return file
