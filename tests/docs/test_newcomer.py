"""A newcomer's path: README's first block is short, runs as it stands, and what it prints can be typed."""

import re
from pathlib import Path

from recorder import Terminal

README = Path(__file__).parents[2] / "README.md"
HOME = README.parent / "docs" / "index.md"
OUTPUT = re.compile(r"^<!-- printed -->\n+```text\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def first_block(page):
    return re.search(r"^```python\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)[1]


def shown(page):
    return OUTPUT.search(page.read_text())[1]


def calls(screen):
    """The calls under Next and Or, of which Or may take several lines."""
    lines = re.search(r"^Next +(.*?)^Or +(.*)", screen, flags=re.MULTILINE | re.DOTALL)
    return [
        " ".join(call.split())
        for call in re.split(r" · |\n(?! )", f"{lines[1]} · {lines[2]}")
        if call.strip(" ·")
    ]


def test_ten_lines_lead_to_a_proposal_and_its_calls_can_be_typed(tmp_path):
    code = first_block(README)
    assert first_block(HOME) == code
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    typed = calls(shown(README))
    assert len(typed) >= 3
    (tmp_path / "first.py").write_text(code + "".join(f"{call}\n" for call in typed))
    printed = Terminal(tmp_path).run("python first.py")
    assert printed[printed.index("Round ") :] + "\n" == shown(README)
    assert shown(HOME) == shown(README)
    assert re.search(r"^  dropout +0 to 0\.5 +-> +0 to 0\.\d", printed, flags=re.MULTILINE)
