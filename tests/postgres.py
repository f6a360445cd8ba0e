"""A PostgreSQL server in a temporary folder, on a socket, by an unprivileged user."""

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil


class PostgreSQL:
    """Started at once. FileNotFoundError: none is installed."""

    def __init__(self):
        places = [shutil.which("pg_ctl"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))[::-1]]
        if not any(places):
            raise FileNotFoundError("PostgreSQL is not installed (pg_ctl not found)")
        self.binaries = Path(next(filter(None, places))).parent
        self.folder = Path(tempfile.mkdtemp(prefix="refine-pg-", dir="/tmp"))  # socket paths have to be short
        self.root = os.geteuid() == 0
        self.user = "postgres" if self.root else getpass.getuser()
        if self.root:
            shutil.chown(self.folder, "postgres")
        self._call("initdb", "-A", "trust", "-U", self.user)
        self.url = f"postgresql://{self.user}@/postgres?host={self.folder}"
        self.start()

    def _call(self, program, *words):
        prefix = ["runuser", "-u", "postgres", "--"] if self.root else []
        full = [*prefix, str(self.binaries / program), "-D", str(self.folder / "data"), *words]
        subprocess.run(full, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=180)

    def start(self):
        options = f"-k {self.folder} -c listen_addresses=''"
        self._call("pg_ctl", "-w", "-t", "120", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode):
        """``fast`` breaks every connection off, ``immediate`` is a crash: the next start recovers."""
        self._call("pg_ctl", "-w", "-t", "120", "-m", mode, "stop")

    def processes(self):
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return [psutil.Process(first), *psutil.Process(first).children(recursive=True)]

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
