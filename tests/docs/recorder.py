"""A terminal with a person at it: types, waits for what is printed, and keeps the session as text."""

import os
import re
import sys
from pathlib import Path

import pexpect

COLUMNS = 96
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Terminal:
    """A working folder in which commands are typed, and what its screen showed."""

    def __init__(self, folder):
        self.folder = folder
        self.text = ""
        self.said = []  # commands, questions and answers, in order
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        plain = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR")}
        screen = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LOGNAME": "ada"}
        self.environment = {**plain, "PATH": path, **screen}

    def run(self, command, *answers, status=0):
        """Runs a command, answers its questions (given as piece and answer), and returns the printed text."""
        self.said.append(f"$ {command}")
        child = pexpect.spawn(
            "/bin/bash",
            ["-c", command],
            cwd=str(self.folder),
            env=self.environment,
            dimensions=(50, COLUMNS),
            encoding="utf-8",
            timeout=300,
        )
        shown = []
        for question, answer in answers:
            child.expect_exact(question)
            shown.append(child.before + question)
            child.expect(r": $")
            remainder = child.before + child.after
            shown.append(remainder)
            child.sendline(answer)
            child.expect_exact("\r\n")  # the terminal's echo of the answer
            shown.append(f"{answer}\r\n")
            self.said.append(f"{question}{plain(remainder).rstrip()} {answer}".rstrip())
        child.expect(pexpect.EOF)
        child.close()
        shown.append(child.before)
        assert child.exitstatus == status, plain("".join(shown))
        output = plain("".join(shown))
        self.text += f"$ {command}\n{output}\n\n"
        return output


def plain(text):
    """Without colours and progress bars, as it stands on the screen at the end."""
    lines = []
    for line in _ANSI.sub("", text).replace("\r\n", "\n").split("\n"):
        last = line.rstrip("\r").rpartition("\r")[2].rstrip()
        if "trial/s" in last or re.match(r"round [0-9a-f]{12}: +\d+%", last):
            continue
        lines.append(last)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
