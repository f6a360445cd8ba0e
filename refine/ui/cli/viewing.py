"""Commands that show what is known: tree, log, show, analyze, checks, diff, best, winner, calibration, report, plot."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refine.ui.cli.completion import complete_rounds
from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    LOOK,
    AllOption,
    JsonOption,
    OfArgument,
    OtherArgument,
    RoundArgument,
    StoreArgument,
    TreeOption,
    WhyOption,
    app,
    calls_on,
    chosen,
    put,
    put_json,
    put_path,
    typed,
)
from refine.ui.cli.spelling import completed, in_shell

if TYPE_CHECKING:
    pass

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the report and its figures.")]
HtmlOption = Annotated[bool, typer.Option("--html", help="One self-contained HTML file instead of markdown.")]


@app.command(rich_help_panel=LOOK)
def tree(store: StoreArgument, name: TreeOption = None, as_json: JsonOption = False) -> None:
    """Print the tree with best values and decisions."""
    with opened(store, name) as found:
        rounds = found.rounds
        last = (typed(store, "show", rounds[-1]), *calls_on(store, rounds[-1])) if rounds else ()
        put(found, as_json, *last)


@app.command(rich_help_panel=LOOK)
def log(store: StoreArgument, name: TreeOption = None, as_json: JsonOption = False) -> None:
    """Print the log of the tree, oldest first."""
    from refine.utils.display import Cell, Grid, Page

    with opened(store, name) as found:
        frame = found.log()
        rows = tuple(
            (when.strftime("%Y-%m-%d %H:%M:%S"), Cell(event, "strong"), at, child or "-", author, note or "-")
            for when, event, at, child, author, note in frame.itertuples(index=False)
        )
        head = ("time (UTC)", "event", "round", "child", "author", "note")
        put(frame, as_json, page=lambda: Page(f"Log of {found.name}", (Grid(head, rows),)))


@app.command("show", rich_help_panel=LOOK)
def show_round(
    store: StoreArgument, which: RoundArgument, name: TreeOption = None, as_json: JsonOption = False
) -> None:
    """Print a round: progress, best trial, space and decisions."""
    with opened(store, name) as opened_tree:
        found = chosen(opened_tree[which])
        put(found, as_json, *calls_on(store, found))


@app.command(rich_help_panel=LOOK)
def analyze(
    store: StoreArgument,
    which: RoundArgument,
    metric: Annotated[str | None, typer.Option(help="Another metric than the round's own.")] = None,
    direction: Annotated[
        str | None, typer.Option(help="maximize or minimize; default the round's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every bootstrap and permutation test.")] = 0,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a round found about each parameter, the clearest first."""
    with opened(store, name) as opened_tree:
        found = chosen(opened_tree[which])
        analysis = found.analyze(metric, direction, seed)
        calls = typed(store, "propose", found), typed(store, "checks", found)
        put(analysis, as_json, *calls, why=why, whole=whole)


@app.command(rich_help_panel=LOOK)
def checks(
    store: StoreArgument,
    which: RoundArgument,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the checks before a decision on the last proposal: PASS, WARN, FAIL or UNKNOWN."""
    from refine.report.pages.checks import checks_page

    with opened(store, name) as opened_tree:
        found = chosen(opened_tree[which])
        checks, propose = found.checks(), typed(store, "propose", found)
        put(checks, as_json, propose, page=lambda: checks_page(checks, in_shell), why=why, whole=whole)


@app.command(rich_help_panel=LOOK)
def diff(
    store: StoreArgument,
    first: RoundArgument,
    second: OtherArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it as a report into this folder instead.")
    ] = None,
    html: HtmlOption = False,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what differs between two rounds, or write it as a report."""
    with opened(store, name) as found:
        comparison = found.diff(first, second)
        if out is not None or html:
            put_path(comparison.report(out or Path("reports"), html=html), as_json)
        else:
            put(comparison, as_json, why=why, whole=whole)


@app.command(rich_help_panel=LOOK)
def best(
    store: StoreArgument,
    which: OfArgument = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the best observed trial; what to hand over says `winner`."""
    from refine.errors import AnalysisError
    from refine.report.markdown.round_facts import shown
    from refine.utils.display import Cell, Grid, Page

    with opened(store, name) as opened_tree:
        if which is None:
            row, where = opened_tree.best(), f"tree {opened_tree.name}"
        else:
            found = chosen(opened_tree[which])
            row, where = found.best, f"round {found.id}"
        if row is None:
            raise AnalysisError(f"{where}: no trial has finished that may be called best")
        rows = tuple((Cell(str(k), "strong"), shown(v)) for k, v in row.items())
        put(
            row,
            as_json,
            page=lambda: Page(f"Best observed trial of {where}", (Grid(("what", "value"), rows),)),
        )


@app.command(rich_help_panel=LOOK)
def winner(
    store: StoreArgument,
    which: OfArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="Writes its certificate into this folder, instead of printing it.")
    ] = None,
    html: HtmlOption = False,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the configuration to hand over: the best posterior mean, with what to expect when it is trained again."""
    from refine.errors import AnalysisError

    with opened(store, name) as opened_tree:
        found = opened_tree.winner() if which is None else chosen(opened_tree[which]).recommend()
        if found is None:
            where = f"tree {opened_tree.name}" if which is None else f"round {opened_tree[which].id}"
            raise AnalysisError(f"{where}: no trial has finished that may be called best")
        if out is None:
            put(found, as_json, why=why, whole=whole)
        else:
            put_path(found.report(out, html=html), as_json)


@app.command(rich_help_panel=LOOK)
def front(
    store: StoreArgument,
    which: OfArgument = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the trials of several goals that no other one beats: of all rounds, or of one round among its own."""
    from refine.errors import AnalysisError
    from refine.report.markdown.round_facts import shown
    from refine.tree.overview import beaten
    from refine.utils.display import Block, Grid, Page, Text
    from refine.utils.format import plural

    with opened(store, name) as opened_tree:
        found = None if which is None else chosen(opened_tree[which])
        rows = opened_tree.front if found is None else found.front
        where = f"tree {opened_tree.name}" if found is None else f"round {found.id}"
        if not len(rows):
            raise AnalysisError(f"{where}: no trial has a value in every goal yet; run the round first")
        hidden = ("state", "value", "seconds", "seed", "cell", "origin")
        names = [str(n) for n in rows if n not in hidden]

        def page() -> Page:
            grid = Grid(
                tuple(names), tuple(tuple(map(shown, r)) for r in rows[names].itertuples(index=False))
            )
            lost = 0 if found is None else beaten(found._at_once())
            told = (
                f"The round's own: {lost:,} of {plural(len(rows), 'point')} are beaten by other rounds. Without a round it is the "
                "tree's."
            )
            blocks: tuple[Block, ...] = (Text(told), grid) if lost else (grid,)
            return Page(f"The front of {where}", blocks)

        put(rows, as_json, page=page)


@app.command(rich_help_panel=LOOK)
def calibration(
    store: StoreArgument,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the forecasts of proposals, what their children showed, and which narrowings were refuted."""
    with opened(store, name) as found:
        kept = found.calibration()
        put(kept.frame, as_json, page=kept.page, why=why, whole=whole)


@app.command(rich_help_panel=LOOK)
def report(
    store: StoreArgument,
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="ROUND",
            help="Of this round; default the whole tree and every round.",
            autocompletion=complete_rounds,
        ),
    ] = None,
    out: OutOption = Path("reports"),
    html: HtmlOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a round, or the whole tree and every round, as markdown with figures."""
    with opened(store, name) as found:
        if which is not None:
            put_path(chosen(found[which]).report(out, html=html), as_json)
            return
        paths = [found.report(out, html=html), *(r.report(out, html=html) for r in found.rounds)]
        if as_json:
            put_json({"paths": [str(p) for p in paths]})
        else:
            for path in paths:
                typer.echo(str(path))


def _argument(text: str) -> Any:
    """A bound as a number; anything else is a parameter's name."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@app.command(rich_help_panel=LOOK)
def plot(
    store: StoreArgument,
    which: RoundArgument,
    figure: Annotated[str, typer.Argument(metavar="FIGURE", help="Name of the figure, such as density.")],
    about: Annotated[
        list[str] | None, typer.Argument(metavar="PARAMETER...", help="What it is of, such as dropout.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="PNG or SVG file, by its ending; default named by the figure."),
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="text, or column for one of two columns of a page.")
    ] = "text",
    theme: Annotated[
        str | None, typer.Option("--theme", help="light or dark; default matplotlib's present style.")
    ] = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a figure of round.plot as PNG or SVG; its arguments follow its name."""
    from refine.errors import AnalysisError, did_you_mean
    from refine.report import figures
    from refine.utils.format import join

    with opened(store, name) as opened_tree:
        plots = chosen(opened_tree[which]).plot
        known = [n for n in dir(plots) if not n.startswith("_") and n != "interactive"]
        if figure not in known:
            raise AnalysisError(f"no figure {figure!r}; {did_you_mean(figure, known)}")
        draw, given = getattr(plots, figure), [_argument(text) for text in about or []]
        takes = {
            n: p.default
            for n, p in inspect.signature(draw).parameters.items()
            if n not in ("ax", "new", "width", "theme")
        }
        needs = sum(default is inspect.Parameter.empty for default in takes.values())
        if not needs <= len(given) <= len(takes):
            words = [n.upper() if i < needs else f"[{n.upper()}]" for i, n in enumerate(takes)]
            write = completed(" ".join(["refine plot STORE ROUND", figure, *words]))
            raise AnalysisError(
                f"plot {figure}: takes {join(words) or 'nothing more'}, got {join(about or []) or 'nothing'}; "
                f"write {write}"
            )
        axes = draw(*given, width=width, theme=theme)
        path = out or Path("-".join([figure, *(about or [])]) + ".png")
        figures.save(axes, path)
        put_path(path, as_json)
