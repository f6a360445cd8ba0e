"""Commands for running trials (run, replicate, confirm, holdout, replay), and init."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from refine.errors import AnalysisError, NotFoundError, ObjectiveError, SpaceError, StoreError
from refine.ui.cli.shared import (
    NO,
    ROUND_HELP,
    RUN,
    AtNewest,
    AtRound,
    AuthorOption,
    Execution,
    Given,
    InTree,
    Keywords,
    NoteOption,
    OfArgument,
    Output,
    Program,
    QuietOption,
    chosen,
    command,
    direction_of,
    objective_for,
    option,
    project,
    ran_another_program,
    say,
    started,
    typed_configuration,
    use_project,
    winner_page,
)
from refine.ui.cli.spelling import PROJECT, completed, quoted, remember
from refine.ui.project import FILE, Project
from refine.utils.action import Action
from refine.utils.files import made_folder, write_whole
from refine.utils.format import join

if TYPE_CHECKING:
    import refine
    from refine.space.space import Space
    from refine.tree.round import Round


@dataclass(frozen=True, kw_only=True)
class NewRoot(Given):
    """The definition of a new root, instead of the project file's."""

    heading = "A new root, instead of the project file's values"
    space: str | None = option("Create a new root on this space: a .toml or .json file, or module:name.")
    metric: list[str] | None = option(
        "Judge trials by this metric. Given two or three times, name goals: acc:maximize; default value.",
        metavar="METRIC[:DIRECTION]",
    )
    minimize: bool | None = option(
        "Look for the smallest, or largest, value; default by the metric's name.", "--minimize/--maximize"
    )
    budget: str | None = option(
        "Set the budget that pays every trial of the study: 60 trials, or '8 h' of training.",
        metavar="TRIALS|TIME",
    )

    def choose_project(self) -> None:
        """Takes the file of ``--space`` as the project file, if the file has more than a space."""
        if self.space is None or not self.space.endswith((".toml", ".json")):
            return
        typed = Project.read(self.space, "space")
        if not typed.is_only_a_space:
            if typed.folder is not None or typed.path != Path(FILE):
                remember(PROJECT, self.space)
            use_project(typed)

    def searched(self) -> Space:
        """The space of ``--space``, else of the project file."""
        from refine.space.files import read_space

        if self.space is None:
            return project().space()
        return read_space(self.space)

    def keywords(self) -> Keywords:
        """Keywords of :meth:`refine.Tree.add_round`: those of the project file, and the typed ones."""
        from refine.trials.goal import ASK, FACTS, stating, typed_goals

        keywords = project().root()
        if self.metric and "metric" in keywords:
            # Facts about another metric do not hold for this one.
            for name in ("direction", "limits", "scale"):
                keywords.pop(name, None)
        if self.metric:
            keywords["metric"] = typed_goals(self.metric)
        typed = {"budget": self.budget} if self.budget is not None else {}
        keywords = {**keywords, **typed, **direction_of(self.minimize)}
        facts = {name: keywords.pop(name) for name in FACTS if name in keywords}
        if facts:
            goal = stating(keywords.get("metric", "value"), keywords.pop("direction", ASK), facts)
            keywords["metric"] = goal
        return keywords


@dataclass(frozen=True, kw_only=True)
class During:
    """Options of ``refine run`` alone."""

    rerun: list[str] | None = option(
        "Re-run trials that ended in this state, for example failed.", metavar="STATE"
    )
    hours: float | None = option("Start no new trials after this many hours.")
    quiet: QuietOption = False

    def of_machine(self) -> Keywords:
        """Keywords of :class:`refine.Machine`."""
        hours = {} if self.hours is None else {"hours": self.hours}
        return {"progress": not self.quiet, **hours}


@command(RUN)
def run(
    target: InTree,
    out: Output,
    round_name: Annotated[
        str | None,
        Argument(metavar="ROUND", help=f"{ROUND_HELP} Default the newest round with trials left to run."),
    ] = None,
    n: Annotated[
        int | None, Option("-n", "--n", help="Run this many configurations; extends an existing round.")
    ] = None,
    *,
    during: During,
    new: NewRoot,
    execution: Execution,
) -> None:
    """Run a round, or create a new root from a space and run it. The same command resumes it."""
    if new.space is not None and round_name is not None:
        raise SpaceError(
            f"--space creates a new root and cannot be combined with a round, got {round_name!r}; leave one "
            "of them out"
        )
    with ExitStack() as stack:
        with out.alone():
            new.choose_project()
            begins = round_name is None and project().has_space and _begins(target, execution.source.program)
            if new.space is not None or begins:
                round_ = chosen(stack.enter_context(_new_root(target, n, new, execution)))
                called = execution.keywords(**during.of_machine())
            else:
                for name in new.options():
                    typed = "maximize" if new.minimize is False and name == "minimize" else name
                    raise SpaceError(
                        f"--{typed} defines a new root and needs --space; leave it out for an existing round"
                    )
                tree = stack.enter_context(target.tree())
                if round_name is None:
                    _say_edited(tree)
                round_ = chosen(_resumed(tree, round_name, during.rerun, execution.source.program))
                called = {"n": n, **execution.on(round_, **during.of_machine())}
            round_.run(rerun=during.rerun, **called)
        out.put(chosen(round_))


def _begins(target: InTree, program: str | None) -> bool:
    """True if the store is missing, or all trials of the tree are failures of another program."""
    from refine.store.store import Store

    with suppress(NotFoundError), closing(Store(target.store, create=False)) as database:
        if database.trees():
            with target.tree() as tree:
                return all(_failed_under_another_program(round_, program) for round_ in tree.rounds)
    return True


def _failed_under_another_program(round_: Round, program: str | None) -> bool:
    """True if another program than the typed one ran, and no trial has a result."""
    return ran_another_program(round_, program) and set(round_.trials["state"]) == {"failed"}


def _say_edited(tree: refine.Tree) -> None:
    """Warns of a budget or parameters edited in the project file, with the calls for the study."""
    from refine.trials.budget import checked_budget

    file = project().path or "--set"
    budget = checked_budget(project().content.get("budget"))
    present = tree.budget.limit
    if budget is not None and tree.rounds and budget != present:
        say(
            f"warning: {file} has budget {budget}, and the study has {present or 'none'}; to change it type "
            f"{completed(f'refine budget STORE {quoted(str(budget))}')}",
            err=True,
        )
    if not project().has_space:
        return
    space = project().space()
    spaces = [round_.space for round_ in tree.rounds if round_._node.parent is None]
    if not spaces or space in spaces:
        return
    names = [name for name in {**spaces[-1], **space} if space.get(name) != spaces[-1].get(name)]
    changed = join(names) or "constraints"
    say(
        f"warning: {file} has a new space (changed: {changed}), and rounds keep theirs; for a new round "
        f"type {completed(f'refine run STORE --space {quoted(str(file))}')}",
        err=True,
    )


def _new_root(
    target: InTree, n: int | None, new: NewRoot, execution: Execution
) -> AbstractContextManager[Round]:
    """A new root on the space of the project, or of ``--space``."""
    from refine.review.round_spec import with_plan

    space = new.searched()
    keywords = {**new.keywords(), **objective_for(None, execution.source)}
    if n is not None:
        keywords["n"] = n
    return started(target.store, target.name, lambda tree: tree.add_round(space, **with_plan(keywords)))


@command(RUN)
def add(
    target: AtNewest,
    out: Output,
    n: Annotated[int | None, Option("-n", "--n", min=1, help="Add this many trials.")] = None,
    exploit: Annotated[
        float | None, Option(help="Set the share chosen by the model; default the round's own share.")
    ] = None,
    per: Annotated[
        str,
        Option(metavar="trial|second", help="Set the unit of the improvement by exploit trials."),
    ] = "trial",
    given: Annotated[
        list[str] | None,
        Option(help="Add a configuration: values as 'lr=0.1 units=64', or JSON as '{\"lr\": 0.1}'."),
    ] = None,
    repeat: Annotated[int | None, Option(help="Repeat this many of the best configurations.")] = None,
    seeds: Annotated[int, Option(help="Repeat each under this many new seeds.")] = 3,
    settle: Annotated[
        str | None,
        Option(metavar="QUESTION", help="Add trials near the bests of the two sides of a question."),
    ] = None,
) -> None:
    """Plan more trials in a round, without a child, for refine run."""
    from refine.space.user_configurations import given_configuration  # numpy is not needed for --help

    typed = {text: typed_configuration(text) for text in given or []}
    with target.round() as round_:
        configurations = [
            given_configuration(round_.space, v, f"configuration {text!r}") for text, v in typed.items()
        ]
        chosen(round_).add(
            n, exploit=exploit, per=per, given=configurations, repeat=repeat, seeds=seeds, settle=settle
        )
        out.put(round_, Action("round.run"))


def _resumed(tree: refine.Tree, name: str | None, rerun: list[str] | None, program: str | None) -> Round:
    """The named round, or the newest one with trials left to run."""
    from refine.design.space_filling import IMPORTED
    from refine.run.options import check_rerun

    if name is not None:
        return tree[name]
    states = check_rerun(rerun)
    for round_ in reversed(tree.rounds):
        if _failed_under_another_program(round_, program):
            continue
        trials = round_.trials
        if round_._node.method != IMPORTED and (len(trials) < round_.n or trials["state"].isin(states).any()):
            return round_
    raise NotFoundError(
        f"tree {tree._name!r}: no round has trials left to run; name a round, extend one with --n, or "
        "create one with --space"
    )


@command(RUN)
def confirm(
    target: InTree,
    out: Output,
    execution: Execution,
    budget: Annotated[
        int | None,
        Option(
            help="Run at most this many repeats; existing ones count; default 20, or what the study's budget "
            "has left."
        ),
    ] = None,
    top: Annotated[int, Option(help="Compare this many configurations, the best by expected value.")] = 5,
    quiet: QuietOption = False,
) -> None:
    """Repeat the plausible winners under new seeds until one is decided. The same command resumes."""
    with target.tree() as tree:
        with out.alone():
            confirmed = tree.confirm(budget, top, **execution.on(_winning(tree), progress=not quiet))
        out.put(confirmed, page=lambda: winner_page(confirmed, tree[confirmed.round], execution.source))


def _winning(tree: refine.Tree) -> Round | None:
    won = tree.winner()
    if won is None:
        return None
    return chosen(tree[won.round])


@command(RUN)
def holdout(
    target: InTree,
    out: Output,
    execution: Execution,
    round_name: OfArgument = None,
    top: Annotated[
        int, Option(help="Open it for this many of the best of a round; of a tree, for the winner.")
    ] = 1,
    seeds: Annotated[int, Option(help="Train this many models of each.")] = 3,
    note: NoteOption = "",
    author: AuthorOption = None,
) -> None:
    """Open the sealed hold-out for the winner, or for the best of a round. Every opening is logged."""
    with target.tree() as tree:
        signature: Any = {"seeds": seeds, "note": note, "author": author}
        with out.alone():
            if round_name is not None:
                round_ = chosen(tree[round_name])
                opening = tree.open_holdout(at=round_, top=top, **signature, **execution.on(round_))
            else:
                opening = tree.open_holdout(**signature, **execution.on(_winning(tree)))
        out.put(opening)


@command(RUN)
def replay(
    target: AtRound,
    out: Output,
    execution: Execution,
    sample: Annotated[int, Option(help="Replay this many trials, drawn at random.")] = 10,
    whole_round: Annotated[
        bool, Option("--all", help="Replay all finished trials instead of a sample.")
    ] = False,
    tolerance: Annotated[float, Option(help="Accept differences of a metric up to this size.")] = 0.0,
) -> None:
    """Replay stored trials from their seeds and compare. Exit code 3 if they differ."""
    with target.round() as round_:
        size = None
        if not whole_round:
            size = sample
        with out.alone():
            replayed = round_.replay(size, tolerance=tolerance, **execution.on(round_))
        out.put(replayed)
    if not replayed.same:
        raise typer.Exit(NO)


_FOLDERS = ("study", *(f"study-{number}" for number in range(2, 1000)))  # suggested for init
_OBJECTIVE = "objective.py"


@command(RUN)
def init(
    typed: Program,
    folder: Annotated[
        Path, Argument(metavar="FOLDER", help="Write into this folder, created if missing.")
    ] = Path(),
    metric: Annotated[
        str | None, Option(help="Judge trials by this metric; default the first one of the pattern.")
    ] = None,
    minimize: Annotated[
        bool | None,
        Option(
            "--minimize/--maximize", help="Look for the smallest, or largest, value; default by the name."
        ),
    ] = None,
    budget: Annotated[
        str, Option(metavar="TRIALS|TIME", help="Set the budget: 60 trials, or '8 h' of training.")
    ] = "60",
) -> None:
    """Write refine.toml, the project file of a study: program, goal, budget and space.

    With --command, the space has the parameters of the program. Without, an objective.py is written too.
    """
    from refine.run.command import named_parameters, words_of
    from refine.trials.budget import checked_budget
    from refine.ui import starter

    checked_budget(budget)
    texts = {}
    guessed = ""
    if typed.command is None:
        texts[_OBJECTIVE] = resources.files("refine.ui.starter").joinpath(_OBJECTIVE).read_text("utf-8")
        program = starter.toml_table("program", {"objective": f"{_OBJECTIVE}:score"})
        space = starter.EXAMPLE
        metric = metric or "val_acc"
    else:
        words_of(typed.command)
        names = named_parameters(typed.command)
        if not names:
            raise ObjectiveError(
                f"init --command needs a program with its parameters in braces, got {typed.command!r}; for "
                "example './train.sh --lr {lr}'"
            )
        patterns = typed.metric_pattern or []
        metric = metric or _first_metric(patterns)
        program = starter.toml_table("program", {"command": typed.command, "metric-pattern": patterns})
        space = starter.space_of_parameters(names)
        guessed = f"Guessed from names: the values of {join(names)}"
    direction = _direction(metric, minimize)
    if guessed and minimize is None:
        better = "larger" if direction == "maximize" else "smaller"
        guessed += f", and that a {better} {metric} is better"
    goal = starter.toml_table("goal", {"metric": metric, "direction": direction})
    texts = {FILE: starter.project_text(budget, program, goal, space), **texts}
    if existing := [name for name in texts if (folder / name).exists()]:
        free = next(name for name in _FOLDERS if not Path(name).exists())
        raise StoreError(
            f"init overwrites no file, and {folder / existing[0]} exists; choose another folder: refine "
            f"init {free}"
        )
    made_folder(folder)
    for name, text in texts.items():
        write_whole(folder / name, [text])
        say(str(folder / name))
    if typed.command is not None and metric == "value":
        say(
            '\nThe last line that the program prints must be a number, or JSON: {"value": 0.93}. For\n'
            f'another name, as in {{"val_acc": 0.93}}, write metric = "val_acc" in {FILE}.'
        )
    run_line = "refine run study.db"
    if folder != Path():
        run_line = f"cd {quoted(str(folder))} && {run_line}"
    if guessed:
        say(f"\n{guessed}.")
    say(f"\nChange {FILE} to yours; then run:\n\n{run_line}")


def _first_metric(patterns: Sequence[str]) -> str:
    """The first metric of some patterns; ``value`` without a pattern."""
    from refine.run.metric_pattern import patterns_of

    captured = [
        name for pattern in patterns_of(patterns) for name in pattern.names.values() if name != "epoch"
    ]
    return [*captured, "value"][0]


def _direction(metric: str, minimize: bool | None) -> str:
    """The typed direction, else the one that the name of the metric suggests."""
    from refine.trials.goal import Goal

    if minimize is not None:
        return "minimize" if minimize else "maximize"
    try:
        return Goal(metric).direction
    except AnalysisError:
        return "minimize"
