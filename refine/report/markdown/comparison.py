"""Report of a comparison: two rounds side by side. Computes nothing, reads no clock."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from refine.analysis.population import space_filling_values
from refine.report import figures
from refine.report.markdown.names import comparison_name
from refine.report.markdown.rendering import drawn, in_one_file, published
from refine.report.markdown.text import Part, Raw, code, escape
from refine.tree.comparison import Comparison
from refine.utils.files import made_folder
from refine.utils.provided import provides


@provides("comparison.report")
def write_comparison(found: Comparison, folder: Path, html: bool) -> Path:
    """Writes the report of a comparison: see :meth:`refine.tree.comparison.Comparison.report`."""
    write = partial(comparison_report, found)
    return in_one_file(write, folder) if html else write(folder)


def comparison_report(found: Comparison, folder: str | Path) -> Path:
    """Writes ``<folder>/compare-<a>-<b>.md``, by the rounds' numbers, and its figures in a folder beside it.

    Args:
        found: The comparison.
        folder: Created if need be.

    Returns:
        The markdown file.
    """
    where = Path(folder)
    name = comparison_name(*found.rounds, where)
    made_folder(where / name)
    first = found.rounds[0]
    head: list[Part] = [found.page()]
    if found.populations is not None:
        curves = {f"round {r.id}": space_filling_values(r.trials) for r in found.rounds}
        draw = partial(figures.edf, curves, first.metric, first.direction)
        head.append(drawn(f"Distribution of {first.metric} in both rounds", where, f"{name}/edf.png", draw))
    title = Raw(f"Rounds {code(found.a)} and {code(found.b)} of {escape(first.context.name)}")
    return published(where / f"{name}.md", title, head)
