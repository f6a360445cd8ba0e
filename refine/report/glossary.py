"""The glossary: one text for the documentation, the end of reports, and tooltips of the review page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from textwrap import indent

_PAGE_LINK = re.compile(r"(?:: | \()?\[[^\]]+\]\([^)#]*\.md[^)]*\)\)?")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ITEM = re.compile(r"^- \*\*(.+?)\*\*: (.+?)[;.]$", re.MULTILINE)

# Term -> pattern of its use in a report; the end of a report explains the terms used.
_USED = {
    "Volume kept": r"volume kept|keeps \S+ % of",
    "Space-filling trial": r"space-filling|evenly drawn",
    "Baseline": r"baseline",
    "Given trial": r"\bgiven\b(?! by)",
    "Exploit trial": r"exploit",
    "Belief": r"\bbelie[fv]",
    "Audit trial": r"audit",
    "Adaptive trial": r"adaptive|imported trial",
    "Degenerate": r"degenerate",
    "Pruned": r"pruned",
    "Replicate": r"replicate",
    "Hold-out": r"hold-out",
    "Top trials": r"\btop (?:trials|\d+)|good trial",
    "Verdict": r"verdict",
    "q-value": r"\bq\b",
    "Density ratio": r"\dx as common",
    "Coupled": r"coupled|effect with others",
    "Pile-up": r"\bpiles? up",
    "Noise": r"noise",
    "Winner": r"optimis[mt]",
    "Claim": r"\bclaim|refute[sd]",
    "Model probability": r"\b1 in (?:3|5|8|20)\b|model probability",
    "Tolerance": r"tolerance|epsilon(?! squared)|ε(?!²)",
    "Risk": r"\brisk",
    "Forecast": r"forecast",
    "Blind spot": r"blind spot",
}


@dataclass(frozen=True)
class Term:
    """A term and its definition."""

    name: str  # the term
    text: str  # its definition as markdown, without links

    @property
    def plain(self) -> str:
        """The definition in one line without markup, for a tooltip."""
        return " ".join(re.sub(r"\*|`|^- ", "", self.text, flags=re.MULTILINE).split())


def source() -> str:
    """The whole glossary as markdown."""
    return (files("refine.report") / "glossary.md").read_text(encoding="utf-8")


@cache
def terms() -> dict[str, Term]:
    """The terms by name, in the glossary's order."""
    term_of = {}
    for part in re.split(r"^### ", source(), flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        text = re.split(r"^## ", body, flags=re.MULTILINE)[0].strip()
        term_of[name] = Term(name, _LINK.sub(r"\1", _PAGE_LINK.sub("", text)))
    return term_of


@cache
def meanings(name: str) -> dict[str, str]:
    """Words listed under a term with their meanings, for example those of *Verdict*."""
    return {word: " ".join(text.split()) for word, text in _ITEM.findall(terms()[name].text)}


def terms_used(text: str) -> list[Term]:
    """The terms used by a report's markdown, in the glossary's order."""
    words = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    return [
        term
        for name, term in terms().items()
        if name in _USED and re.search(_USED[name], words, re.IGNORECASE)
    ]


def terms_section(text: str) -> str:
    """A foldable section for the end of a report, with the terms used by the report's markdown.

    Empty without terms.
    """
    used = terms_used(text)
    if not used:
        return ""
    items = [indent(f"**{term.name}**: {term.text}", "  ").replace("  ", "- ", 1) for term in used]
    return "\n<details><summary>Terms used here</summary>\n\n" + "\n".join(items) + "\n\n</details>\n"
