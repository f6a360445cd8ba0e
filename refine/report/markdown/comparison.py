"""Report of a comparison: two rounds side by side. Computes nothing, reads no clock."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from refine.analysis.population import space_filling_values
from refine.report import figures
from refine.report.markdown.names import comparison_name
from refine.report.markdown.rendering import drawn, in_one_file, published
from refine.report.markdown.text import Raw, code, table, values_table
from refine.report.pages.difference import difference_grid
from refine.report.pages.population import population_sentence
from refine.tree.comparison import Comparison
from refine.utils.files import made_folder
from refine.utils.format import percent, score
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
    context = {
        "tree": first.context.name,
        "a": code(found.a),
        "b": code(found.b),
        "space": table(difference_grid(found.space, found.a, found.b)) if found.space else None,
        "kept": percent(found.volume_kept),
        "values": values_table(
            ["round", f"best observed {first.metric}", "configurations planned"],
            [
                [Raw(code(key)), score(best), f"{n:,}"]
                for key, best, n in zip((found.a, found.b), found.best, found.n, strict=True)
            ],
        ),
        "other": values_table(
            ["setting", found.a, found.b], [[k, str(x), str(y)] for k, (x, y) in found.other.items()]
        )
        if found.other
        else None,
        "populations": population_sentence(found.populations, found.b, found.a)
        if found.populations
        else None,
        "picture": None,
    }
    if found.populations is not None:
        curves = {f"round {r.id}": space_filling_values(r.trials) for r in found.rounds}
        context["picture"] = drawn(
            f"Distribution of {first.metric} in both rounds",
            where,
            f"{name}/edf.png",
            lambda: figures.edf(curves, first.metric, first.direction),
        )
    return published(where / f"{name}.md", "comparison.md.j2", context)
