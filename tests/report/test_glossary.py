"""The glossary: one text for documentation, reports and page."""

import re

import pytest

from refine.report.glossary import _USED, meanings, terms, terms_section, terms_used
from refine.report.markdown.rendering import to_html
from refine.report.pages.analysis import VERDICTS


def test_every_term_has_a_definition_without_links():
    definitions = terms()
    assert 28 <= len(definitions) <= 32  # more terms are more to learn
    assert set(_USED) <= set(definitions)
    for name, term in definitions.items():
        assert re.search(r"[a-z]", term.plain), name
        assert "](" not in term.text
        assert not re.search(r"[*`\n]", term.plain), name
        assert term.plain.endswith("."), name


def test_every_verdict_has_a_meaning():
    verdicts = meanings("Verdict")
    assert {cell.text for cell in VERDICTS.values()} < set(verdicts)
    assert len(verdicts) == len(VERDICTS) + 1  # weak evidence is about a change
    assert all(verdicts.values())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("the q of 40 space-filling trials", ["Space-filling trial", "q-value"]),
        ("within ε = 0.01 of the best", ["Tolerance"]),
        ("ε² 0.04, quite unique", []),
        ("```python\nroot.propose(risk=0.05)\n```\n", []),
    ],
)
def test_terms_that_a_text_uses_are_found(text, names):
    assert [term.name for term in terms_used(text)] == names


def test_a_report_ends_with_the_terms_it_uses_and_folds_them(tmp_path):
    assert terms_section("nothing") == ""
    page = to_html("# Report\n\nThe verdict.\n" + terms_section("the verdict, at q <= 0.1"), tmp_path)
    folded = page[page.index("<details>") :]
    assert folded.index("<strong>Verdict</strong>") < folded.index("<strong>q-value</strong>")
    assert f"<li><strong>{VERDICTS['matters'].text}</strong>: q &lt;= 0.1;</li>" in folded
    assert "Benjamini" in folded
    assert folded.index("</details>") > folded.rindex("</li>")
