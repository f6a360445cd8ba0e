"""File systems of their own, small ones, that can be filled and made read-only."""

import os
import subprocess

import pytest

from tests.elsewhere import missing


@pytest.fixture
def file_system(tmp_path):
    """Mounts a file system in memory, of a size such as ``"8m"``; gives its folder."""
    mounted = []

    def mount(size):
        folder = tmp_path / "medium"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            if os.geteuid() == 0:
                missing(f"the right to mount a file system: {done.stderr.strip()}")
            pytest.skip(f"can't mount a file system: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
