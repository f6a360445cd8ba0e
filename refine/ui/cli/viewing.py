"""Commands that look: from the tree to a figure, and the comparison of two configurations."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from refine.errors import AnalysisError, ReviewError, did_you_mean
from refine.ui.cli.shared import (
    DONE,
    LOOK,
    NO,
    OPEN,
    AtNewestRun,
    AtRound,
    EpsilonOption,
    Execution,
    Explained,
    Given,
    HtmlOption,
    InTree,
    MaybeInTree,
    OfArgument,
    Output,
    RoundArgument,
    chosen,
    command,
    direction_of,
    newest,
    option,
    project,
    put_json,
    winner_page,
)
from refine.ui.cli.spelling import completed, in_shell, quoted, with_objective, words_of
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Grid, Items, Page, Text
from refine.utils.format import join, plural, without_numbers

if TYPE_CHECKING:
    import pandas as pd

    import refine
    from refine.analysis.judgement import Judgement
    from refine.analysis.winner import Winner
    from refine.tree.round import Round


@command(LOOK)
def show(
    target: InTree,
    out: Output,
    round_name: OfArgument = None,
    log: Annotated[bool, Option("--log", help="Print the log, the oldest entry first.")] = False,
    failures: Annotated[
        bool,
        Option("--failures", help="Print why trials of the round, by default the newest, did not complete."),
    ] = False,
) -> None:
    """Print the tree with its best values and decisions, or a round with its progress and space."""
    if log and failures:
        raise ReviewError("--log and --failures print different tables, got both; give one of them")
    with target.tree() as tree:
        if failures:
            _put_failures(out, chosen(tree[round_name or "last"]))
        elif log:
            _put_log(out, tree, round_name)
        elif round_name is None:
            out.put(newest(tree))
        else:
            out.put(chosen(tree[round_name]))


def _put_log(out: Output, tree: refine.Tree, round_name: str | None) -> None:
    """Prints the log of a tree, or the entries about a round."""
    frame = tree.log()
    if round_name is not None:
        id_ = chosen(tree[round_name]).id
        frame = frame[(frame["round"] == id_) | (frame["child"] == id_)]
    rows = [
        (f"{time:%Y-%m-%d %H:%M:%S}", Cell(event, "strong"), *(text or "-" for text in texts))
        for time, event, *texts in frame.itertuples(index=False)
    ]
    head = ("time (UTC)", "event", "round", "child", "author", "note")
    out.put(frame, page=lambda: Page(f"Log of {tree._name}", [Grid(head, rows)]))


@command(LOOK)
def analyze(
    target: AtNewestRun,
    out: Explained,
    metric: Annotated[str | None, Option(help="Analyze another metric; default the round's own.")] = None,
    direction: Annotated[
        str | None, Option(help="Set the direction: maximize or minimize; default the round's own.")
    ] = None,
    checks: Annotated[
        bool,
        Option("--checks", help="Print the checks before a decision instead: PASS, WARN, FAIL or UNKNOWN."),
    ] = False,
) -> None:
    """Print the evidence on every parameter, the strongest first."""
    from refine.report.pages.checks import checks_page

    if checks and (metric or direction):
        raise ReviewError("--checks are about the round's own goal; leave --metric and --direction out")
    with target.round() as round_:
        if checks:
            checked = round_.checks()
            out.put(checked, Action("round.propose"), page=lambda: checks_page(checked, in_shell))
        else:
            out.put(round_.analyze(metric, direction))


@command(LOOK)
def diff(
    target: InTree,
    out: Explained,
    first: RoundArgument,
    second: Annotated[str, Argument(metavar="OTHER", help="Name the other round.")],
) -> None:
    """Print the differences between two rounds."""
    with target.tree() as tree_:
        out.put(tree_.diff(first, second))


@command(LOOK)
def winner(target: InTree, out: Explained, round_name: OfArgument = None) -> None:
    """Print the winner: the configuration to use, with the value expected when retrained."""
    with target.tree() as tree:
        if round_name is None:
            won = tree.winner()
        else:
            won = chosen(tree[round_name])._recommend()
        if won is None:
            raise AnalysisError(
                f"a winner needs a finished trial with a usable value, got none in tree {tree._name!r}; "
                "run more trials"
            )
        won_round = chosen(tree[won.round])
        page = winner_page(won, won_round, project().source)
        if len(won_round._goals) < 2:
            out.put(won, page=lambda: page)
        else:
            _put_front(out, won, page, (tree if round_name is None else won_round).front)


def _put_front(out: Output, won: Winner, page: Page, rows: pd.DataFrame) -> None:
    """Prints the page of the winner by the first goal, and the trials of the front."""
    from refine.report.pages.tree import value_text
    from refine.utils.plain import plain

    if out.as_json:
        put_json({**won.to_dict(), "front": plain(rows)})
        return
    names = [n for n in rows if n not in ("state", "value", "seconds", "seed", "cell", "origin")]
    table = rows[names].assign(**{"round": rows["round"].str[:8]} if "round" in rows else {})
    texts = [tuple(value_text(value, 4) for value in row) for row in table.itertuples(index=False)]
    front = (
        Text("The front: trials that no other trial beats", "strong"),
        Grid(list(map(str, names)), texts),
    )
    out.put(won, page=lambda: replace(page, blocks=(*page.blocks, *front)))


@command(LOOK)
def calibration(target: InTree, out: Explained) -> None:
    """Print the track record: forecasts of proposals, outcomes of their children, refuted narrowings."""
    with target.tree() as tree_:
        record = tree_.calibration()
        out.put(record.frame, page=record._page)


@command(LOOK)
def report(
    target: InTree,
    out: Output,
    round_name: OfArgument = None,
    folder: Annotated[
        Path, Option("--out", "-o", help="Write the report and its figures into this folder.")
    ] = Path("reports"),
    html: HtmlOption = False,
) -> None:
    """Write a report of a round, or of the tree and all its rounds, as markdown with figures."""
    with target.tree() as tree_:
        if round_name is not None:
            out.path(chosen(tree_[round_name]).report(folder, html=html))
            return
        reports = [tree_.report(folder, html=html), *(r.report(folder, html=html) for r in tree_.rounds)]
        paths = list(map(str, reports))
        out.say("\n".join(paths), {"paths": paths})


_STYLE = ("ax", "new", "width", "theme")


@command(LOOK)
def plot(
    target: AtRound,
    out: Output,
    figure: Annotated[str, Argument(metavar="FIGURE", help="Name the figure, for example density.")],
    about: Annotated[
        list[str] | None, Argument(metavar="PARAMETER...", help="Name its parameters, for example dropout.")
    ] = None,
    file: Annotated[
        Path | None,
        Option("--out", "-o", help="Write this .png, .svg or .pdf file; default FIGURE.png."),
    ] = None,
) -> None:
    """Draw a figure of a round as PNG, SVG or PDF."""
    from refine.report import figures
    from refine.space.literals import typed_value

    with target.round() as round_:
        plots = round_.plot
        about = about or []
        figure_names = [n for n in dir(plots) if not n.startswith("_")]
        if figure not in figure_names:
            raise AnalysisError(f"no figure {figure!r}; {did_you_mean(figure, figure_names)}")
        draw = getattr(plots, figure)
        takes = {n: p.default for n, p in inspect.signature(draw).parameters.items() if n not in _STYLE}
        needs = sum(default is inspect.Parameter.empty for default in takes.values())
        if not needs <= len(about) <= len(takes):
            words = [n.upper() if i < needs else f"[{n.upper()}]" for i, n in enumerate(takes)]
            raise AnalysisError(
                f"plot {figure}: takes {join(words) or 'nothing more'}, got {join(about) or 'nothing'}; "
                f"write {completed(' '.join(['refine plot STORE ROUND', figure, *words]))}"
            )
        path = file or Path("-".join([figure, *about]) + ".png")
        figures.save(draw(**dict(zip(takes, map(typed_value, about), strict=False))), path)
        out.path(path)


# Trials that did not complete.

# Kinds of failure that are listed, the most frequent first.
_KINDS = 10


def _put_failures(out: Output, round_: Round) -> None:
    """Prints the errors of trials that did not complete, by frequency, and the first long one in full."""
    from refine.design.space_filling import IMPORTED

    rows = round_.failures
    calls = []
    if round_._node.method != IMPORTED:  # imported trials cannot be re-run
        states = map(str, rows["state"].unique())
        calls = [Action("round.run", rerun=state) for state in states if state != "running"]
    out.put(rows, *calls, page=lambda: _failures_page(round_, rows))


def _failures_page(round_: Round, rows: pd.DataFrame) -> Page:
    from refine.report.pages.tree import value_text
    from refine.trials.trial import error_line

    trials = plural(len(round_.trials), "trial")
    title = f"round {round_.id} of {round_._context.name}: {len(rows):,} of {trials} did not complete"
    if rows.empty:
        return Page(title)
    errors = rows["error"].map(lambda error: error.strip() if isinstance(error, str) else "")
    last_lines = errors.map(lambda error: error_line(error) or "no error text recorded")
    # Messages that differ in their numbers alone are of one kind.
    kind_of = last_lines.map(without_numbers)
    kinds = sorted(rows.groupby([rows["state"], kind_of], sort=False), key=lambda kind: -len(kind[1]))
    lines = []
    for (state, _), alike in kinds[:_KINDS]:
        line = f"{state}, {plural(len(alike), 'trial')}: {last_lines[alike.index[0]]}"
        first = alike.iloc[0][list(round_.space.varied)]
        if len(first):
            line += f" (first at {', '.join(f'{p} = {value_text(v)}' for p, v in first.items())})"
        lines.append(line)
    blocks: list[Block] = [Items(lines)]
    if len(kinds) > _KINDS:
        blocks.append(Text(f"and {len(kinds) - _KINDS:,} more kinds; --json has every trial", "faint"))
    long_errors = (error for _, alike in kinds for error in errors[alike.index] if "\n" in error)
    if first_error := next(long_errors, None):
        blocks.append(Text(f"The first error in full:\n\n{first_error}", lines=True))
    if "failed" in set(rows["state"]):
        blocks.append(Text("Fix the cause first: without a fix, failed trials are likely to fail again."))
    return Page(title, blocks)


# Two configurations compared.

_HELP = "a round, 'winner', 'best', 'baseline', or values, as 'lr=0.1 units=64'"


def _configuration(text: str | None) -> Any:
    """A typed configuration: values by name, or the name of a round or configuration."""
    from refine.space.literals import typed_pairs

    if text is None or "=" not in text:
        return text
    return typed_pairs(words_of(text), "judge")


def _next(a: str | None, b: str | None, epsilon: float | None, judgement: Judgement) -> list[str]:
    """The next command, if more runs should decide."""
    from refine.report.pages.winner import runs_needed

    needed = runs_needed(judgement)
    if not needed:
        return []
    words = [quoted(typed) for typed in (a, b) if typed is not None]
    words.append(f"--budget {needed}")
    if epsilon is not None:
        words.append(f"--epsilon {epsilon:g}")
    return [completed(with_objective(f"refine judge STORE {' '.join(words)}"))]


@dataclass(frozen=True, kw_only=True)
class RunTable(Given):
    """Runs in a table, made by any program."""

    heading = "A table of runs instead of a store"
    runs: Path | None = option(
        "Read runs from this table, one row per run: .csv, .tsv or .jsonl.", metavar="FILE"
    )
    metric: str | None = option("Name the column of the result.")
    minimize: bool | None = option(
        "Prefer smaller, or larger, results; default by the metric's name.", "--minimize/--maximize"
    )
    by: str = option(
        "Group runs by these columns (comma-separated): equal text, same configuration.", default="commit"
    )
    group_a: list[str] | None = option(
        "Name the group in question; repeat it to merge groups of the same configuration.", "--a"
    )
    group_b: list[str] | None = option("Name the group to compare with; may be repeated.", "--b")

    def _given(self) -> list[str]:
        options = {"--metric": self.metric, "--a": self.group_a, "--b": self.group_b}
        return [name for name, value in options.items() if value]

    def judgement(self, epsilon: float | None) -> Judgement:
        """Compares two groups by all completed runs of the table.

        Raises:
            AnalysisError: A column or a configuration is missing.
        """
        import pandas as pd

        from refine.analysis.run_table import judge_runs
        from refine.tree.exchange.dataframe import read_table
        from refine.trials.goal import Goal
        from refine.trials.metric import Metric

        if not (self.group_a and self.group_b and self.metric):
            raise ReviewError(
                "--runs needs --metric (the column of the result), --a and --b (the groups to compare), got "
                + (" and ".join(self._given()) or "none of them")
            )
        frame = read_table(self.runs, dtype=str, keep_default_na=False)
        columns = self.by.split(",")
        for name in (self.metric, *columns):
            if name not in frame:
                raise AnalysisError(
                    f"{self.runs} has no column {name!r} (--metric or --by names it); "
                    f"{did_you_mean(name, frame.columns)}"
                )
        values = pd.to_numeric(frame[self.metric], errors="coerce")
        for name in frame.columns.intersection(["status", "state"]):
            values = values.mask(frame[name].astype(str).str.lower().isin(_ENDED_BADLY))
        cells = frame[columns].map(
            lambda cell: cell if isinstance(cell, str) else json.dumps(cell, sort_keys=True)
        )
        words = [f"{name}=" if len(columns) > 1 else "" for name in columns]
        names = [" ".join(map("".join, zip(words, row, strict=True))) for row in cells.to_numpy()]
        goal = Goal(Metric(self.metric), direction_of(self.minimize).get("direction"))
        return judge_runs(
            names,
            values.tolist(),
            goal,
            self.group_a,
            self.group_b,
            by=self.by,
            of=str(self.runs),
            epsilon=epsilon,
        )


_OPTIONS = {"metric_pattern": "metric-pattern", "settings": "set"}
_EXITS = {"KEEP": DONE, "DISCARD": NO, "CONFIRM": OPEN}
# Words in a column of states for runs without a usable value.
_ENDED_BADLY = ("crash", "crashed", "fail", "failed", "error", "timeout", "killed", "pruned", "running")


@command(LOOK)
def judge(
    target: MaybeInTree,
    out: Explained,
    execution: Execution,
    table: RunTable,
    a: Annotated[
        str | None,
        Argument(metavar="CONFIG", help=f"Name the configuration in question: {_HELP}; default the winner."),
    ] = None,
    b: Annotated[
        str | None,
        Argument(
            metavar="OTHER",
            help="Name the one to compare with; default the baseline, else the best of earlier rounds.",
        ),
    ] = None,
    budget: Annotated[
        int,
        Option(
            min=0,
            help="Repeat both under new seeds until one wins, at most this many runs in all; default 0.",
        ),
    ] = 0,
    epsilon: EpsilonOption = None,
) -> None:
    """Compare two configurations of a store, or of --runs FILE, whose rows are grouped by commit (--by).

    Exit codes: 0 for KEEP, 3 for DISCARD, 4 for CONFIRM.
    """
    if not budget and (typed := [f"--{_OPTIONS.get(name, name)}" for name in execution.options()]):
        raise ReviewError(
            "judge runs trials only with --budget, got "
            f"{join(typed)} without it; add --budget, or leave them out"
        )
    if (target.store is None) == (not table.options()) or (table.options() and (budget or target.name)):
        raise ReviewError(
            "judge needs either STORE, or --runs FILE with --metric, --a and --b; --tree and --budget "
            "are for STORE"
        )
    pair = _configuration(a), _configuration(b)
    if table.options():
        judgement = table.judgement(epsilon)
        out.put(judgement, page=lambda: replace(judgement._page(), calls=()))
        raise typer.Exit(_EXITS[judgement.verdict])
    with target.tree() as tree:
        with out.alone():
            judgement = tree.judge(*pair, epsilon=epsilon)
            round_ = chosen(tree[judgement.a.round])
            if budget:
                options = execution.on(round_, progress=False)
                judgement = tree.judge(*pair, epsilon=epsilon, budget=budget, **options)
        out.put(judgement, *_next(a, b, epsilon, judgement))
    raise typer.Exit(_EXITS[judgement.verdict])
