"""Parts shared by reports of rounds, trees and winners: counts, fingerprints, decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from refine.design.space_filling import IMPORTED
from refine.report.markdown.rendering import Part, Raw, code, escape, joined, quote
from refine.report.pages.reasons import by
from refine.report.pages.space import decision_grid
from refine.utils.format import duration, plural

if TYPE_CHECKING:
    import pandas as pd

    from refine.proposal.proposal import Proposal
    from refine.review.decision import Decision
    from refine.space.space import Space

# Origin of a trial -> a short word for a column.
ORIGIN_WORDS = {
    "given": "given",
    "space_filling": "evenly drawn",
    "exploit": "exploit",
    "audit": "audit",
    "probe": "probe",
    "adaptive": "adaptive",
    "imported": "imported",
}

# Kind of a decision -> its name.
KIND_WORDS = {
    "accepted": "Accepted as proposed",
    "edited": "Accepted with changes",
    "declined": "Declined",
    "branched": "Branched without a proposal",
    "suggested": "Suggested",
    "chosen": "A point of the front was chosen",
}


def counted(counts: Mapping[Any, int], words: Mapping[str, str] | None = None) -> str:
    """Counts by name, in the order of ``words`` if given: ``118 complete, 2 failed``."""
    if words is None:
        words = {name: name for name in counts}
    return ", ".join(f"{int(counts[name]):,} {word}" for name, word in words.items() if counts.get(name))


def cost_text(trials: Sequence[pd.DataFrame], repeats: Sequence[pd.DataFrame]) -> str:
    """The trials and repeats of rounds with their time: ``51 trials and 9 repeats, 1 min of computing``.

    Imported trials were computed elsewhere, so their time does not count.
    """
    text = plural(sum(map(len, trials)), "trial")
    if repeat_count := sum(map(len, repeats)):
        text += f" and {plural(repeat_count, 'repeat')}"
    frames = [*trials, *repeats]
    computed = [frame[frame["origin"] != IMPORTED] for frame in frames]
    if imported := sum(map(len, frames)) - sum(map(len, computed)):
        text += f" ({imported:,} imported)"
    if imported and not any(map(len, computed)):
        return text
    seconds = [s for frame in computed for s in frame["seconds"] if math.isfinite(s)]
    if seconds:
        return f"{text}, {duration(math.fsum(seconds))} of computing"
    return f"{text}; their time was not measured"


def fingerprints(data: str | None, codes: Sequence[str]) -> list[tuple[str, str]]:
    """Rows of a table with the fingerprints of data and code."""
    no_data = "no fingerprint: the objective names no data"
    code_text: Raw | str = "no fingerprint"
    if codes:
        code_text = joined([code(c[:12]) for c in codes])
    return [("data", code(data[:12]) if data else no_data), ("code", code_text)]


def store_name(store: str) -> str:
    """A store's name without folders, user, password or options."""
    if "://" not in store:
        return Path(store.replace("\\", "/")).name or store
    parts = urlsplit(store)
    name = parts.path.rstrip("/").rpartition("/")[2]
    if parts.scheme.startswith("sqlite"):
        return name or "in memory"
    return f"{parts.hostname or ''}/{name}"


def decision_parts(d: Decision, old: Space, proposal: Proposal | None, number: int = 0) -> list[Part]:
    """Author, note and values of a decision next to the proposed values; ``number`` counts decisions."""
    title = escape(f"{KIND_WORDS.get(d.kind, d.kind)}{by(d.author)}")
    parts: list[Part] = [Raw(f"### {number}. {title}" if number else f"**{title}.**")]
    if d.note.strip():
        parts.append(quote(d.note))
    return [*parts, decision_grid(old, d, proposal)]
