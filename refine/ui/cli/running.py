"""Commands that run: run, replicate, confirm, holdout, replay, guide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refine.ui.cli.completion import complete_rounds
from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    NO,
    ROUND_HELP,
    RUN,
    AuthorOption,
    BeliefOption,
    GraceOption,
    JsonOption,
    MemoryOption,
    NoteOption,
    ObjectiveOption,
    OfArgument,
    RoundArgument,
    StoreArgument,
    ThreadsOption,
    TimeoutOption,
    TreeOption,
    WorkersOption,
    app,
    calls_on,
    chosen,
    objective_for,
    only_json,
    put,
    put_json,
    show,
    typed,
)

if TYPE_CHECKING:
    import refine
    from refine.tree.round import Round

OptionalRound = Annotated[
    str | None,
    typer.Argument(
        metavar="ROUND",
        help=f"{ROUND_HELP} Default the newest one that has something left to run.",
        autocompletion=complete_rounds,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]

# Options that make a round, by the name of their argument of `run`.
_MAKING = (
    "metric",
    "minimize",
    "downsample",
    "seed",
    "design",
    "pruner",
    "note",
    "role",
    "baseline",
    "belief",
    "exploit",
    "allow_degenerate",
    "subject_to",
    "goal",
)


@app.command(rich_help_panel=RUN)
def run(
    store: StoreArgument,
    which: OptionalRound = None,
    objective: ObjectiveOption = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="A program instead of --objective: 'python train.py --lr {lr}'; its last line of JSON is the metrics."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Makes a new root: a .toml or .json file, or module:name of a space.")
    ] = None,
    name: TreeOption = None,
    n: Annotated[
        int | None, typer.Option("-n", "--n", help="Configurations; of a round that exists, extends it.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="New root: which metric is the value; default value.")
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC:DIRECTION", help="New root: two or three goals, instead of --metric."),
    ] = None,
    minimize: Annotated[
        bool | None,
        typer.Option("--minimize/--maximize", help="New root: smaller, or larger, values are better."),
    ] = None,
    downsample: Annotated[
        float | None, typer.Option(help="New root: share of the configurations, instead of --n.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="New root: seed of design and trials; default 0.")] = None,
    design: Annotated[
        str | None, typer.Option(help="New root: sobol, uniform, tpe, gp, cmaes or qmc.")
    ] = None,
    pruner: Annotated[str | None, typer.Option(help="New root: median stops trials that are behind.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(metavar="NAME=ROLE", help="New root: scientific, nuisance or fixed.")
    ] = None,
    allow_degenerate: Annotated[
        bool, typer.Option("--allow-degenerate", help="New root: a constant prediction may be best.")
    ] = False,
    subject_to: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC<=NUMBER", help="New root: what a trial has to meet to count."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="New root: the configuration to beat, one value at a time."),
    ] = None,
    belief: BeliefOption = None,
    exploit: Annotated[
        float | None, typer.Option(help="New root: share drawn by --belief; default half.")
    ] = None,
    note: NoteOption = "",
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    grace: GraceOption = 25.0,
    gpus: Annotated[
        str | None,
        typer.Option(help="GPUs that workers get in turn: how many, or which, such as 0,3; 0 for none."),
    ] = None,
    hours: Annotated[float | None, typer.Option(help="End in order after so many hours.")] = None,
    until: Annotated[
        str | None, typer.Option(help="End in order at a local date and time, such as '2030-01-31 06:00'.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="End in order after so many trials.")] = None,
    check_noise: Annotated[
        bool,
        typer.Option(
            "--check-noise/--no-check-noise",
            help="Run the best configuration once more at the end, to see whether its value is the same.",
        ),
    ] = True,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TRACKER[=WHERE]",
            help="Send trials there too: mlflow[=URI] or tensorboard=FOLDER.",
        ),
    ] = None,
    rerun: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Run trials again that ended so, such as failed."),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a round, or make a new root from a space and run it. Run again, it resumes."""
    asked = locals()
    trackers = _trackers(track)
    making = {
        key: asked[key]
        for key in _MAKING
        if asked[key] not in (None, "") and (asked[key] is not False or key == "minimize")
    }
    if space is not None:
        _refuse_round(which)
        with only_json(as_json):
            called = _called(objective, command)
            tree, found = _made(store, name, space, called, n, making)
        given: dict[str, Any] = {}
        n = None
    else:
        _refuse_making(making)
        tree = opened(store, name)
        found = chosen(tree[which] if which is not None else _unfinished(tree, rerun))
        with only_json(as_json):
            given = (
                objective_for(found, objective)
                if command is None
                else {"objective": _called(objective, command)}
            )
    with tree:
        with only_json(as_json):
            found.run(
                workers,
                n=n,
                threads=threads,
                progress=not quiet,
                rerun=rerun,
                timeout=timeout,
                memory=memory,
                grace=grace,
                gpus=_gpus(gpus),
                hours=hours,
                until=until,
                trials=trials,
                check_noise=check_noise,
                track=trackers,
                **given,
            )
        put(found, as_json, *calls_on(store, found))


def _gpus(text: str | None) -> int | list[str] | None:
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _trackers(track: list[str] | None) -> list[Any]:
    from refine.report.trackers import tracker_of

    return [tracker_of(text) for text in track or ()]


_SPELLED = ("minimize", "role", "baseline", "belief", "goal")
"""Options that are written otherwise than their arguments in Python."""


def _goals(texts: list[str], given: dict[str, Any]) -> list[Any]:
    """The goals of ``METRIC:DIRECTION``."""
    from refine.errors import AnalysisError
    from refine.trials.goal import ASK, Goal

    if "metric" in given:
        raise AnalysisError("--goal says the metrics of several goals; leave --metric out")
    made = []
    for text in texts:
        metric, colon, direction = text.rpartition(":")
        if colon and not direction:
            raise AnalysisError(f"--goal {text!r}: write it as METRIC:DIRECTION, such as latency_ms:minimize")
        made.append(Goal(metric if colon else text, direction if colon else ASK))
    return made


def _refuse_round(which: str | None) -> None:
    from refine.errors import SpaceError

    if which is not None:
        raise SpaceError(
            f"--space makes a new root, but round {which!r} was given as well; leave one of them out"
        )


def _refuse_making(making: dict[str, Any]) -> None:
    from refine.errors import SpaceError

    if making:
        option = f"--{next(iter(making))}"
        raise SpaceError(
            f"{option} is set where a round is made, with --space; leave it out for a round that exists"
        )


def _called(objective: str | None, command: str | None) -> Any:
    """What ``--objective`` or ``--command`` says."""
    from refine.errors import ObjectiveError
    from refine.run.command import Command
    from refine.utils.objects import found_object

    if command is not None and objective is not None:
        raise ObjectiveError("--command is a program and --objective a function; give one of them")
    if command is not None:
        return Command(command)
    if objective is None:
        raise ObjectiveError(
            "a new root needs --objective module:name or path/to/file.py:name, or a program: --command 'python train.py --lr {lr}'"
        )
    return found_object(objective)


def _made(
    store: str, name: str | None, space: str, objective: Any, n: int | None, making: dict[str, Any]
) -> tuple[refine.Tree, Round]:
    """A new root in a store that is made if need be."""
    import refine
    from refine.space.belief import typed_belief
    from refine.space.files import read_space
    from refine.space.literals import typed_pairs

    searched = read_space(space)
    options = {key: value for key, value in making.items() if key not in _SPELLED}
    if "goal" in making:
        options["metric"] = _goals(making["goal"], options)
    if "minimize" in making:
        options["direction"] = "minimize" if making["minimize"] else "maximize"
    if "baseline" in making:
        options["baseline"] = typed_pairs(making["baseline"], "--baseline")
    if "belief" in making:
        options["belief"] = typed_belief(making["belief"], "--belief")
    if "role" in making:
        options["roles"] = typed_pairs(making["role"], "--role")
    tree = refine.Tree(name or Path(space.partition(":")[0]).stem, store)
    try:
        return tree, tree.add_round(searched, objective, n=n, **options)
    except BaseException:
        tree.close()
        raise


def _unfinished(tree: refine.Tree, rerun: list[str] | None) -> Round:
    from refine.design.space_filling import IMPORTED
    from refine.errors import NotFoundError
    from refine.run.options import check_rerun

    again = check_rerun(rerun)
    for found in reversed(tree.rounds):
        trials = found.trials
        if found.node.method != IMPORTED and (len(trials) < found.n or trials["state"].isin(again).any()):
            return found
    raise NotFoundError(
        f"tree {tree.name!r}: no round has anything left to run; name one, extend one with --n, or make one with --space"
    )


@app.command(rich_help_panel=RUN)
def replicate(
    store: StoreArgument,
    which: RoundArgument,
    top: Annotated[int, typer.Option(help="How many of the best configurations.")] = 5,
    seeds: Annotated[int, typer.Option(help="How many runs of each.")] = 3,
    objective: ObjectiveOption = None,
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    quiet: QuietOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the best configurations again under new seeds: how much the best value overstates itself."""
    with opened(store, name) as tree:
        found = chosen(tree[which])
        options: Any = {"workers": workers, "threads": threads, "timeout": timeout, "memory": memory}
        with only_json(as_json):
            found.replicate(top, seeds, progress=not quiet, **options, **objective_for(found, objective))
        put(found.optimism(), as_json, typed(store, "checks", found), whole=True)


@app.command(rich_help_panel=RUN)
def confirm(
    store: StoreArgument,
    budget: Annotated[
        int, typer.Option(help="How many runs under new seeds; those that there are count.")
    ] = 20,
    top: Annotated[int, typer.Option(help="How many configurations, by posterior mean.")] = 5,
    objective: ObjectiveOption = None,
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    quiet: QuietOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the plausible winners again under new seeds until it is decided which to hand over. Run again, it goes on."""
    with opened(store, name) as tree:
        found = tree.winner()
        given = {} if found is None else objective_for(tree[found.round], objective)
        options: Any = {"workers": workers, "threads": threads, "timeout": timeout, "memory": memory}
        with only_json(as_json):
            won = tree.confirm(budget, top, progress=not quiet, **options, **given)
        put(won, as_json)


@app.command(rich_help_panel=RUN)
def holdout(
    store: StoreArgument,
    which: OfArgument = None,
    top: Annotated[int, typer.Option(help="How many of the best; of the whole tree it is the winner.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many models of each.")] = 3,
    note: NoteOption = "",
    author: AuthorOption = None,
    objective: ObjectiveOption = None,
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the sealed hold-out for the winner, or for the best of a round; every opening is logged."""
    with opened(store, name) as tree:
        options: Any = {"workers": workers, "threads": threads, "timeout": timeout, "memory": memory}
        said: Any = {"seeds": seeds, "note": note, "author": author, **options}
        with only_json(as_json):
            if which is not None:
                found = chosen(tree[which])
                opening = found.open_holdout(top, **said, **objective_for(found, objective))
            else:
                won = tree.winner()
                given = {} if won is None else objective_for(tree[won.round], objective)
                opening = tree.open_holdout(**said, **given)
        put(opening, as_json)


@app.command(rich_help_panel=RUN)
def replay(
    store: StoreArgument,
    which: RoundArgument,
    sample: Annotated[int, typer.Option(help="How many trials, drawn at random.")] = 10,
    all_: Annotated[
        bool, typer.Option("--all", help="Every trial that has ended, instead of a sample.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Difference of a metric that counts as none.")] = 0.0,
    objective: ObjectiveOption = None,
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run stored trials again from their seeds and compare; exit code 3 where they differ."""
    with opened(store, name) as tree:
        found = chosen(tree[which])
        with only_json(as_json):
            again = found.replay(
                None if all_ else sample,
                seed=seed,
                tolerance=tolerance,
                workers=workers,
                threads=threads,
                **objective_for(found, objective),
            )
        if as_json:
            put_json({**again.to_dict(), "same": again.same})
        else:
            show(again.page())
    if not again.same:
        raise typer.Exit(NO)


@app.command(rich_help_panel=RUN)
def guide(
    store: StoreArgument,
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="ROUND", help="The round to begin with; default asks.", autocompletion=complete_rounds
        ),
    ] = None,
    objective: ObjectiveOption = None,
    script: Annotated[
        Path | None, typer.Option(help="File for the Python that makes the same calls.")
    ] = None,
    name: TreeOption = None,
) -> None:
    """Walk through a round, question by question; the result is that of the same commands."""
    from refine.errors import ObjectiveError
    from refine.ui.guide import guide as walk

    with opened(store, name) as tree:
        called: dict[str, Any] = {}
        rounds = tree.rounds
        if rounds:
            try:
                called = objective_for(chosen(tree[which]) if which is not None else rounds[-1], objective)
            except ObjectiveError:
                if objective is not None:
                    raise  # what was asked for; a recorded name that leads nowhere only means that nothing can run
        walk(tree, which, script=script, **called)
