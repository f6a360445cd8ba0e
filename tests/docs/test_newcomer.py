"""A newcomer's path: README's first block is short, runs as it stands, and ends at a proposal on their own function."""

import os
import re
from pathlib import Path

from recorder import Terminal

README = Path(__file__).parents[2] / "README.md"
START = README.parent / "docs" / "index.md"


OUTPUT = re.compile(r"(```text\n)(.*?)(^```$)", flags=re.MULTILINE | re.DOTALL)


def review(printed: str) -> str:
    """What is printed from the review on, without what was said while the round ran."""
    return printed[printed.index("Round ") :]


def first_block(page: Path) -> str:
    return re.search(r"^```python\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)[1]


def test_ten_lines_lead_to_a_proposal(tmp_path: Path) -> None:
    code = first_block(README)
    assert first_block(START) == code
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "first.py").write_text(code)
    printed = Terminal(tmp_path).run("python first.py") + "\n"
    assert re.search("^(Search next|If you go on anyway)", printed, re.MULTILINE)
    assert re.search(r"^  dropout +0 to 0\.5 +-> +0 to 0\.\d", printed, flags=re.MULTILINE)
    # What the tour shows is what it prints; figures may differ with versions.
    text = START.read_text()
    shown = re.search(r"(<!-- printed -->\n+```text\n)(.*?)(^```$)", text, flags=re.MULTILINE | re.DOTALL)
    if os.environ.get("REFINE_GOLDEN"):
        START.write_text(text[: shown.start(2)] + printed + text[shown.end(2) :])
        README.write_text(
            OUTPUT.sub(lambda found: found[1] + review(printed) + found[3], README.read_text(), count=1)
        )
        return
    heads = [line for line in printed.splitlines() if line.startswith(("Round ", "Proposed", "Next "))]
    assert len(heads) == 3
    for line in heads:
        assert line in shown[2]
    assert review(shown[2]) == OUTPUT.search(README.read_text())[2]
