"""Commands that run: run, replicate, confirm, holdout, replay, guide; and of the first minutes: init, demo."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from refine.errors import AnalysisError, NotFoundError, ObjectiveError, SpaceError, StoreError
from refine.ui.cli.completion import complete_rounds
from refine.ui.cli.shared import (
    NO,
    ROUND_HELP,
    RUN,
    AtRound,
    AuthorOption,
    BeliefOption,
    Explained,
    InTree,
    Limited,
    NoteOption,
    OfArgument,
    Output,
    QuietOption,
    Workers,
    chosen,
    command,
    objective_for,
    put_json,
    say,
    show,
)

if TYPE_CHECKING:
    import refine
    from refine.tree.round import Round

OptionalRound = Annotated[
    str | None,
    Argument(
        metavar="ROUND",
        help=f"{ROUND_HELP} Default the newest one that has something left to run.",
        autocompletion=complete_rounds,
    ),
]


@dataclass(frozen=True, kw_only=True)
class NewRoot:
    """What makes a new root."""

    heading = "A new root, with --space"
    space: Annotated[
        str | None, Option(help="A .toml or .json file, or module:name of a space: makes a new root.")
    ] = None
    metric: Annotated[str | None, Option(help="Which metric is the value; default value.")] = None
    minimize: Annotated[
        bool | None, Option("--minimize/--maximize", help="Smaller, or larger, values are better.")
    ] = None
    downsample: Annotated[float | None, Option(help="Share of the configurations, instead of --n.")] = None
    seed: Annotated[int | None, Option(help="Seed of design and trials; default 0.")] = None
    design: Annotated[str | None, Option(help="sobol, uniform, tpe, gp, cmaes or qmc.")] = None
    pruner: Annotated[str | None, Option(help="median stops trials that are behind.")] = None
    note: NoteOption = ""
    role: Annotated[list[str] | None, Option(metavar="NAME=ROLE", help="scientific, nuisance or fixed.")] = (
        None
    )
    baseline: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="The configuration to beat, one value at a time."),
    ] = None
    belief: BeliefOption = None
    exploit: Annotated[float | None, Option(help="Share drawn by --belief; default half.")] = None
    allow_degenerate: Annotated[
        bool, Option("--allow-degenerate", help="A constant prediction may be best.")
    ] = False
    subject_to: Annotated[
        list[str] | None, Option(metavar="METRIC<=NUMBER", help="What a trial has to meet to count.")
    ] = None
    goal: Annotated[
        list[str] | None,
        Option(metavar="METRIC:DIRECTION", help="Two or three goals, instead of --metric."),
    ] = None

    def options(self) -> dict[str, Any]:
        """Those that were given, as they were typed."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {name: value for name, value in given.items() if name != "space"}

    def made(self, at: InTree, objective: Any, n: int | None) -> tuple[refine.Tree, Round]:
        """The root, in a store that is made if need be."""
        import refine
        from refine.space.belief import typed_belief
        from refine.space.files import read_space
        from refine.space.literals import typed_pairs

        assert self.space is not None
        searched, options = read_space(self.space), self.options()
        if goals := options.pop("goal", None):
            options["metric"] = _goals(goals, options)
        if "minimize" in options:
            options["direction"] = "minimize" if options.pop("minimize") else "maximize"
        if "baseline" in options:
            options["baseline"] = typed_pairs(options["baseline"], "--baseline")
        if "belief" in options:
            options["belief"] = typed_belief(options["belief"], "--belief")
        if roles := options.pop("role", None):
            options["roles"] = typed_pairs(roles, "--role")
        tree = refine.Tree(at.name or Path(self.space.partition(":")[0]).stem, at.store)
        try:
            return tree, tree.add_round(searched, objective, n=n, **options)
        except BaseException:
            tree.close()
            raise


@dataclass(frozen=True, kw_only=True)
class Resources(Limited):
    """What a whole run may take."""

    gpus: Annotated[
        str | None, Option(help="GPUs that workers get in turn: how many, or which, such as 0,3; 0 for none.")
    ] = None
    grace: Annotated[
        float,
        Option(help="Seconds that trials may still run after SIGTERM or SIGHUP, as of Slurm or docker stop."),
    ] = 25.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Where a run ends in order."""

    heading = "End in order"
    hours: Annotated[float | None, Option(help="After so many hours.")] = None
    until: Annotated[str | None, Option(help="At a local date and time, such as '2030-01-31 06:00'.")] = None
    trials: Annotated[int | None, Option(help="After so many trials.")] = None


@command(RUN)
def run(
    at: InTree,
    out: Output,
    which: OptionalRound = None,
    n: Annotated[
        int | None, Option("-n", "--n", help="Configurations; of a round that exists, extends it.")
    ] = None,
    check_noise: Annotated[
        bool,
        Option(
            "--check-noise/--no-check-noise",
            help="Run the best configuration once more at the end, to see whether its value is the same.",
        ),
    ] = True,
    track: Annotated[
        list[str] | None,
        Option(metavar="TRACKER[=WHERE]", help="Send trials there too: mlflow[=URI] or tensorboard=FOLDER."),
    ] = None,
    rerun: Annotated[
        list[str] | None, Option(metavar="STATE", help="Run trials again that ended so, such as failed.")
    ] = None,
    quiet: QuietOption = False,
    *,
    new: NewRoot,
    how: Resources,
    budget: Budget,
) -> None:
    """Run a round, or make a new root from a space and run it. Run again, it resumes."""
    from refine.report.trackers import tracker_of

    trackers = [tracker_of(text) for text in track or ()]
    if new.space is not None:
        if which is not None:
            raise SpaceError(
                f"--space makes a new root, but round {which!r} was given as well; leave one of them out"
            )
        with out.alone():
            tree, found = new.made(at, _called(how), n)
        given, n = {}, None
    else:
        if options := new.options():
            option = f"--{next(iter(options)).replace('_', '-')}"
            raise SpaceError(
                f"{option} is set where a round is made, with --space; leave it out for a round that exists"
            )
        tree = at.tree()
        found = chosen(tree[which] if which is not None else _unfinished(tree, rerun))
        with out.alone():
            given = how.of(found)
    with tree:
        with out.alone():
            limits = {**how.options(), **vars(budget), "gpus": _gpus(how.gpus)}
            found.run(
                n=n,
                progress=not quiet,
                rerun=rerun,
                check_noise=check_noise,
                track=trackers,
                **limits,
                **given,
            )
        out.put(found, *at.calls_on(found))


def _gpus(text: str | None) -> int | list[str] | None:
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _goals(texts: list[str], given: dict[str, Any]) -> list[Any]:
    """The goals of ``METRIC:DIRECTION``."""
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


def _called(how: Workers) -> Any:
    """What a new root runs."""
    from refine.run.command import Command
    from refine.utils.objects import found_object

    if how.command is not None:
        return Command(how.command)
    if how.objective is None:
        raise ObjectiveError(
            "a new root needs --objective module:name or path/to/file.py:name, or a program: --command 'python train.py --lr {lr}'"
        )
    return found_object(how.objective)


def _unfinished(tree: refine.Tree, rerun: list[str] | None) -> Round:
    from refine.design.space_filling import IMPORTED
    from refine.run.options import check_rerun

    again = check_rerun(rerun)
    for found in reversed(tree.rounds):
        trials = found.trials
        if found.node.method != IMPORTED and (len(trials) < found.n or trials["state"].isin(again).any()):
            return found
    raise NotFoundError(
        f"tree {tree.name!r}: no round has anything left to run; name one, extend one with --n, or make one with --space"
    )


@command(RUN)
def replicate(
    at: AtRound,
    out: Output,
    how: Limited,
    top: Annotated[int, Option(help="How many of the best configurations.")] = 5,
    seeds: Annotated[int, Option(help="How many runs of each.")] = 3,
    quiet: QuietOption = False,
) -> None:
    """Run the best configurations again under new seeds: how much the best value overstates itself."""
    with at.round() as found:
        with out.alone():
            found.replicate(top, seeds, progress=not quiet, **how.on(found))
        Explained(as_json=out.as_json, whole=True).put(found.optimism(), at.typed("checks", found))


@command(RUN)
def confirm(
    at: InTree,
    out: Output,
    how: Limited,
    budget: Annotated[int, Option(help="How many runs under new seeds; those that there are count.")] = 20,
    top: Annotated[int, Option(help="How many configurations, by posterior mean.")] = 5,
    quiet: QuietOption = False,
) -> None:
    """Run the plausible winners again under new seeds until it is decided which to hand over. Run again, it goes on."""
    with at.tree() as tree:
        won = tree.winner()
        with out.alone():
            options = how.on(None if won is None else tree[won.round])
            confirmed = tree.confirm(budget, top, progress=not quiet, **options)
        out.put(confirmed)


@command(RUN)
def holdout(
    at: InTree,
    out: Output,
    how: Limited,
    which: OfArgument = None,
    top: Annotated[int, Option(help="How many of the best; of the whole tree it is the winner.")] = 1,
    seeds: Annotated[int, Option(help="How many models of each.")] = 3,
    note: NoteOption = "",
    author: AuthorOption = None,
) -> None:
    """Open the sealed hold-out for the winner, or for the best of a round; every opening is logged."""
    with at.tree() as tree:
        said: Any = {"seeds": seeds, "note": note, "author": author}
        with out.alone():
            if which is not None:
                found = chosen(tree[which])
                opening = found.open_holdout(top, **said, **how.on(found))
            else:
                won = tree.winner()
                opening = tree.open_holdout(**said, **how.on(None if won is None else tree[won.round]))
        out.put(opening)


@command(RUN)
def replay(
    at: AtRound,
    out: Output,
    how: Workers,
    sample: Annotated[int, Option(help="How many trials, drawn at random.")] = 10,
    all_: Annotated[bool, Option("--all", help="Every trial that has ended, instead of a sample.")] = False,
    seed: Annotated[int, Option(help="Seed of the draw.")] = 0,
    tolerance: Annotated[float, Option(help="Difference of a metric that counts as none.")] = 0.0,
) -> None:
    """Run stored trials again from their seeds and compare; exit code 3 where they differ."""
    with at.round() as found:
        with out.alone():
            size = None if all_ else sample
            again = found.replay(size, seed=seed, tolerance=tolerance, **how.on(found))
        if out.as_json:
            put_json({**again.to_dict(), "same": again.same})
        else:
            show(again.page())
    if not again.same:
        raise typer.Exit(NO)


@command(RUN)
def guide(
    at: InTree,
    which: Annotated[
        str | None,
        Argument(
            metavar="ROUND", help="The round to begin with; default asks.", autocompletion=complete_rounds
        ),
    ] = None,
    objective: Annotated[str | None, Option(help="Where the objective is, as in run.")] = None,
) -> None:
    """Walk through a round, question by question; the result is that of the same commands."""
    from refine.ui.guide import guide as walk

    with at.tree() as tree:
        called = None
        if rounds := tree.rounds:
            first = rounds[-1] if which is None else chosen(tree[which])
            try:
                called = objective_for(first, objective)["objective"]
            except ObjectiveError:
                if objective is not None:
                    raise  # what was asked for; a recorded name that leads nowhere only means that nothing can run
        walk(tree, which, objective=called)


_FILES = ("space.toml", "objective.py")


@command(RUN)
def init(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Where; made if need be.")] = Path(),
) -> None:
    """Write space.toml and objective.py that run, to put your own in their place."""
    if there := [name for name in _FILES if (folder / name).exists()]:
        raise StoreError(
            f"{folder / there[0]} is there already, and is left as it is; init another folder: refine init study"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        text = resources.files("refine.ui.starter").joinpath(name).read_text("utf-8")
        (folder / name).write_text(text, "utf-8")
        say(str(folder / name))
    at = "" if folder == Path() else f"cd {folder} && "
    say(f"\n{at}refine run study.db --space space.toml --objective objective.py:score --metric val_acc -n 60")


@command(RUN)
def demo(
    out: Annotated[Path, Option("--out", "-o", help="Folder for the store and the picture.")] = Path(
        "refine-demo"
    ),
) -> None:
    """Run two rounds on a packaged objective, with the decision between them; half a minute, without TensorFlow."""
    import refine
    from refine.space.files import read_space
    from refine.ui.starter.objective import score
    from refine.ui.story import two_rounds

    out.mkdir(parents=True, exist_ok=True)
    with (
        resources.as_file(resources.files("refine.ui.starter") / "space.toml") as space,
        refine.Tree("demo", out / "refine.db") as tree,
    ):
        root = tree.add_round(read_space(str(space)), score, metric="val_acc", n=80)
        two_rounds(tree, root, out, 40)
