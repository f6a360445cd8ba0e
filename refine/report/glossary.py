"""The glossary: one text, which the documentation publishes, reports end with in part, and the review page shows beside its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from textwrap import indent

_PAGE_LINK = re.compile(r"(?:: | \()?\[[^\]]+\]\([^)#]*\.md[^)]*\)\)?")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ITEM = re.compile(r"^- \*\*(.+?)\*\*: (.+?)[;.]$", re.MULTILINE)

# What a report says where it uses a term: only these are explained at its end.
_USED = {
    "Volume kept": r"volume kept|keeps \S+ % of",
    "Role": r"scientific|nuisance",
    "Space-filling trial": r"space-filling",
    "Baseline": r"baseline",
    "Given trial": r"\bgiven\b(?! by)",
    "Exploit trial": r"exploit",
    "Belief": r"\bbelie[fv]",
    "Audit trial": r"audit",
    "Adaptive trial": r"adaptive",
    "Imported trial": r"imported trial",
    "Degenerate": r"degenerate",
    "Pruned": r"pruned",
    "Replicate": r"replicate",
    "Hold-out": r"hold-out",
    "Good trial": r"good trial|best fifth",
    "Verdict": r"verdict",
    "q-value": r"\bq\b",
    "Density ratio": r"times as frequent",
    "Coupled": r"coupled|matters with others",
    "Pile-up": r"\bpiles? up",
    "Noise": r"noise",
    "Optimism": r"optimis[mt]",
    "Claim": r"\bclaim",
    "Probability": r"with probability about|stated probability",
    "Epsilon": r"epsilon|ε(?!²)",
    "Risk": r"\brisk",
    "Forecast": r"forecast",
    "Refuted": r"refuted",
}


@dataclass(frozen=True)
class Term:
    """A term and its one meaning."""

    name: str  # the term
    text: str  # its definition as markdown, without links

    @property
    def plain(self) -> str:
        """The definition in one line without markup, as a tooltip has it."""
        return " ".join(re.sub(r"\*|`|^- ", "", self.text, flags=re.MULTILINE).split())


def source() -> str:
    """The whole glossary as markdown, as the documentation has it."""
    return (files("refine.report") / "glossary.md").read_text(encoding="utf-8")


@cache
def terms() -> dict[str, Term]:
    """Every term by its name, in the glossary's order."""
    known = {}
    for part in re.split(r"^### ", source(), flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        text = re.split(r"^## ", rest, flags=re.MULTILINE)[0].strip()
        known[name] = Term(name, _LINK.sub(r"\1", _PAGE_LINK.sub("", text)))
    return known


@cache
def meanings(name: str) -> dict[str, str]:
    """What the words mean that a term lists, such as each verdict."""
    return {word: " ".join(text.split()) for word, text in _ITEM.findall(terms()[name].text)}


def terms_used(text: str) -> list[Term]:
    """The terms that a report's markdown uses, in the glossary's order."""
    words = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    return [
        term
        for name, term in terms().items()
        if name in _USED and re.search(_USED[name], words, re.IGNORECASE)
    ]


def terms_section(text: str) -> str:
    """A foldable section for the end of a report that explains the terms its markdown uses; empty if it uses none."""
    used = terms_used(text)
    if not used:
        return ""
    items = [indent(f"**{term.name}**: {term.text}", "  ").replace("  ", "- ", 1) for term in used]
    return "\n<details><summary>Terms used here</summary>\n\n" + "\n".join(items) + "\n\n</details>\n"
