"""Commands for running trials (run, replicate, confirm, holdout, replay), and init."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
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
    Drawn,
    Execution,
    InTree,
    Keywords,
    Limited,
    NoteOption,
    OfArgument,
    Output,
    Program,
    QuietOption,
    Workers,
    chosen,
    command,
    direction_of,
    objective_for,
    option,
    program_options,
    say,
    started,
    typed_configuration,
)
from refine.ui.cli.spelling import quoted
from refine.utils.action import Action
from refine.utils.files import made_folder, write_whole

if TYPE_CHECKING:
    import refine
    from refine.tree.round import Round


@dataclass(frozen=True, kw_only=True)
class NewRoot(Drawn):
    """The definition of a new root."""

    heading = "A new root, with --space"
    space: str | None = option("Create a new root on this space: a .toml or .json file, or module:name.")
    metric: list[str] | None = option(
        "Judge trials by this metric. Given two or three times, name goals: acc:maximize; default value.",
        metavar="METRIC[:DIRECTION]",
    )
    minimize: bool | None = option(
        "Look for the smallest, or largest, value; default by the metric's name.", "--minimize/--maximize"
    )
    subject_to: list[str] | None = option(
        "Constrain a metric: other trials cannot win.", metavar="METRIC<=NUMBER"
    )
    noise: str | None = option(
        "Declare whether repeats give identical values (none) or other ones (retraining); default refine "
        "repeats the best configuration at the end to find out.",
        metavar="none|retraining",
    )
    limits: str | None = option(
        "Declare the limits of the metric: 0:1, or 0: without a highest value; default by its name.",
        metavar="LOW:HIGH",
    )
    scale: str | None = option(
        "Compare losses by factors (log) or differences (linear); default by their range.",
        metavar="log|linear",
    )
    seed: int | None = option("Seed the design and the trials; default 0.")
    budget: str | None = option(
        "Set the budget that pays every trial of the study: 60 trials, or '8 h' of training.",
        metavar="TRIALS|TIME",
    )
    baseline: list[str] | None = option(
        "Name the configuration to beat, one value per option.", metavar="NAME=VALUE"
    )

    def options(self, *without: str) -> Keywords:
        """The typed options, as keywords of :meth:`refine.Tree.add_round`."""
        from refine.space.literals import typed_pairs
        from refine.trials.declared import typed_limits

        options = super().options("metric", "minimize", *without) | direction_of(self.minimize)
        if self.limits:
            options["limits"] = typed_limits(self.limits)
        if self.baseline:
            options["baseline"] = typed_pairs(self.baseline, "--baseline")
        if self.metric:
            options["metric"] = _judged_by(self.metric)
        return options


def _judged_by(texts: list[str]) -> Any:
    """A metric, or the goals of ``METRIC:DIRECTION``."""
    from refine.trials.goal import Goal

    goals: list[Goal | str] = []
    for text in texts:
        name, _, direction = text.rpartition(":")
        if direction in ("minimize", "maximize"):
            goals.append(Goal(name, direction))
        else:
            goals.append(text)
    if len(goals) == 1:
        return goals[0]
    return [Goal(goal) if isinstance(goal, str) else goal for goal in goals]


@dataclass(frozen=True, kw_only=True)
class During:
    """Options of ``refine run`` alone."""

    track: list[str] | None = option(
        "Send trials to a tracker too: mlflow[=URI] or tensorboard=FOLDER.", metavar="TRACKER[=WHERE]"
    )
    quiet: QuietOption = False

    def options(self) -> Keywords:
        """Keywords of :class:`refine.Machine`."""
        from refine.report.trackers import tracker_of

        trackers = [tracker_of(text) for text in self.track or ()]
        return {"track": trackers, "progress": not self.quiet}


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
    from refine.space.files import read_space

    of_run = during.options()
    options = new.options("space")
    if new.space is None and options:
        keyword = {"direction": "minimize"}.get(first := next(iter(options)), first)
        raise SpaceError(
            f"--{keyword.replace('_', '-')} defines a new root and needs --space; leave it out for an "
            "existing round"
        )
    if new.space is not None and round_name is not None:
        raise SpaceError(
            f"--space creates a new root and cannot be combined with a round, got {round_name!r}; leave one "
            "of them out"
        )
    with ExitStack() as stack:
        with out.alone():
            if new.space is None:
                tree = stack.enter_context(target.tree())
                round_ = chosen(_resumed(tree, round_name, execution.run_values["rerun"]))
                called = {"n": n, **execution.on(round_, **of_run)}
            else:
                searched = read_space(new.space)
                called = objective_for(None, execution.objective, execution.program)

                def add(tree: refine.Tree) -> Round:
                    return tree.add_round(searched, n=n, **called, **options)

                round_ = chosen(stack.enter_context(started(target.store, target.name, add)))
                called = execution.keywords(**of_run)
            round_.run(**called)
        out.put(chosen(round_))


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


def _resumed(tree: refine.Tree, name: str | None, rerun: list[str] | None) -> Round:
    """The named round, or the newest one with trials left to run."""
    from refine.design.space_filling import IMPORTED
    from refine.run.options import check_rerun

    if name is not None:
        return tree[name]
    states = check_rerun(rerun)
    for round_ in reversed(tree.rounds):
        trials = round_.trials
        if round_.node.method != IMPORTED and (len(trials) < round_.n or trials["state"].isin(states).any()):
            return round_
    raise NotFoundError(
        f"tree {tree.name!r}: no round has trials left to run; name a round, extend one with --n, or "
        "create one with --space"
    )


@command(RUN)
def confirm(
    target: InTree,
    out: Output,
    execution: Limited,
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
        out.put(confirmed)


def _winning(tree: refine.Tree) -> Round | None:
    won = tree.winner()
    if won is None:
        return None
    return chosen(tree[won.round])


@command(RUN)
def holdout(
    target: InTree,
    out: Output,
    execution: Limited,
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
                opening = round_.open_holdout(top, **signature, **execution.on(round_))
            else:
                opening = tree.open_holdout(**signature, **execution.on(_winning(tree)))
        out.put(opening)


@command(RUN)
def replay(
    target: AtRound,
    out: Output,
    execution: Workers,
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
_SPACE = "space.toml"
_OBJECTIVE = "objective.py"


@command(RUN)
def init(
    typed: Program,
    folder: Annotated[
        Path, Argument(metavar="FOLDER", help="Write into this folder, created if missing.")
    ] = Path(),
) -> None:
    """Write a working space.toml and objective.py to replace with your own.

    With --command, write a space.toml for the parameters of a program instead.
    """
    from refine.run.command import named_parameters, words_of
    from refine.ui.starter import space_of_parameters

    starter = resources.files("refine.ui.starter")
    if typed.command is None or typed.program is None:
        texts = {name: starter.joinpath(name).read_text("utf-8") for name in (_SPACE, _OBJECTIVE)}
        run_options = "--objective objective.py:score --metric val_acc"
    else:
        words_of(typed.command)
        names = named_parameters(typed.command)
        if not names:
            raise ObjectiveError(
                f"init --command needs a program with its parameters in braces, got {typed.command!r}; for "
                "example './train.sh --lr {lr}'"
            )
        texts = {_SPACE: space_of_parameters(names)}
        run_options = f"{program_options(typed.program)}{_metric_options(typed.metric_pattern)}"
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
    run_line = f"refine run study.db --space space.toml {run_options} --budget 60"
    if folder != Path():
        run_line = f"cd {quoted(str(folder))} && {run_line}"
    if typed.program is not None:
        if not typed.metric_pattern:
            say(
                '\nThe last line that the program prints is JSON: {"value": 0.93}. For another name, as in\n'
                '{"val_acc": 0.93}, add --metric val_acc below.'
            )
        say("\nChange the ranges in space.toml to yours; then run:")
    say(f"\n{run_line}")


def _metric_options(patterns: Sequence[str] | None) -> str:
    """Options for the first metric of some patterns; empty without a pattern."""
    from refine.run.metric_pattern import patterns_of
    from refine.trials.goal import Goal

    captured = [
        name for pattern in patterns_of(patterns) for name in pattern.names.values() if name != "epoch"
    ]
    if not captured:
        return ""
    option = f" --metric {captured[0]}"
    try:
        Goal(captured[0])
    except AnalysisError:
        return f"{option} --minimize"
    return option
