"""What every command shares: the app, errors and exit codes, the store, printing."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from refine.errors import Hinted, RefineError
from refine.ui.cli.completion import complete_rounds, complete_trees
from refine.ui.cli.spelling import ROUND, STORE, TREE, forget, in_shell, remember
from refine.utils.action import Action

if TYPE_CHECKING:
    from refine.tree.round import Round
    from refine.utils.display import Block, Page

DONE, ERROR, USAGE, NO, OPEN, STOPPED = 0, 1, 2, 3, 4, 130
"""Exit codes: done; an error, said in a line; wrong usage; done, and the answer is no, or open; Ctrl-C."""


_OPTIONS = {"direction='minimize'": "--minimize", "direction='maximize'": "--maximize"}
"""Keywords that messages name, as options."""


def _spelled(said: Warning | Exception | str) -> str:
    """A message with commands in place of the actions that it names."""
    if isinstance(said, Hinted):
        text = said.spelled(in_shell)
    else:
        text = str(said.args[0] if isinstance(said, KeyError) and said.args else said)
    for keyword, option in _OPTIONS.items():
        text = text.replace(keyword, option)
    return text


class _Commands(TyperGroup):
    """Errors of refine and of the file system are one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        import warnings

        from refine.errors import RefineWarning, shown

        python_s = warnings.showwarning

        def say(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if issubclass(category, RefineWarning):
                typer.echo(f"warning: {shown(_spelled(message))}", err=True)
            else:
                python_s(message, category, *where)

        warnings.showwarning = say  # type: ignore[assignment]
        forget()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output went away, which is no error of ours
        except KeyboardInterrupt as stop:
            typer.echo(str(stop) or "stopped", err=True)
            raise typer.Exit(STOPPED) from None
        except (RefineError, OSError, KeyError) as error:
            typer.echo(f"error: {shown(' '.join(_spelled(error).split()))}", err=True)
            raise typer.Exit(ERROR) from None
        finally:
            warnings.showwarning = python_s
            forget()


app = typer.Typer(
    cls=_Commands,
    help="Refine a search space round by round: run, look, decide. Exit codes: 0 done, 1 error, 2 wrong usage, 3 the "
    "answer is no, 4 it is open, 130 stopped.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUN, LOOK, DECIDE, BRING = "Run", "Look", "Decide", "Bring and take"
"""Headings of the help."""


def _kept(what: str) -> Callable[[Any], Any]:
    def keep(value: Any) -> Any:
        remember(what, value)
        return value

    return keep


StoreArgument = Annotated[
    str,
    typer.Argument(metavar="STORE", help="URL of a store, or path of a SQLite file.", callback=_kept(STORE)),
]
ROUND_HELP = (
    "A round: last, root, its path in the printed tree such as 1.2, a tag, its id or the beginning of one."
)
RoundArgument = Annotated[
    str,
    typer.Argument(metavar="ROUND", help=ROUND_HELP, autocompletion=complete_rounds, callback=_kept(ROUND)),
]
OfArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ROUND",
        help="Of this round; default of the whole tree.",
        autocompletion=complete_rounds,
        callback=_kept(ROUND),
    ),
]
OtherArgument = Annotated[
    str, typer.Argument(metavar="OTHER", help=ROUND_HELP, autocompletion=complete_rounds)
]
TreeOption = Annotated[
    str | None,
    typer.Option(
        "--tree",
        "-t",
        help="Name of the tree, where there are several.",
        autocompletion=complete_trees,
        callback=_kept(TREE),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="Where the objective is: module:name or path/to/file.py:name; default by the name that the round recorded.",
    ),
]
WorkersOption = Annotated[int, typer.Option("--workers", "-w", min=1, help="How many trials run at a time.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads per trial.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Seconds that a trial may take.")]
MemoryOption = Annotated[str | None, typer.Option(help="Memory that a worker may hold, such as 2GB.")]
GraceOption = Annotated[
    float,
    typer.Option(
        help="Seconds that trials may still run after SIGTERM or SIGHUP, as of Slurm or docker stop."
    ),
]
BeliefOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=BELIEF",
        help="Where the best value lies: 'lr=near 1e-3 x3', 'dropout=near 0.2 +-0.1', 'optimizer=adam:0.7', or a .toml file.",
    ),
]
WhyOption = Annotated[bool, typer.Option("--why", help="Print why, in place of the glance.")]
AllOption = Annotated[bool, typer.Option("--all", help="Print everything, with every number.")]
NoteOption = Annotated[str, typer.Option(help="Why, in your words.")]
AuthorOption = Annotated[str | None, typer.Option(help="Who decides; default the user name.")]


def show(page: Page, *calls: str) -> None:
    """Prints a page, in colours at a terminal, with what one would type in place of what one would call.

    Args:
        page: The page.
        calls: What one would type next.
    """
    from dataclasses import replace

    from rich.console import Console

    from refine.utils.display import to_rich, to_text

    page = replace(page, blocks=tuple(map(_in_shell, page.blocks)), calls=calls, folds=())
    # Values come from people and objectives: nothing in them is markup.
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(to_rich(page), crop=False)  # a command is never cut
    else:
        typer.echo(to_text(page))


def _in_shell(block: Block) -> Block:
    """A block whose calls are commands."""
    from dataclasses import replace

    from refine.utils.display import Cell, Facts, Items, Text

    def command(call: Action | str | None) -> str | None:
        return in_shell(call) if isinstance(call, Action) else call

    if isinstance(block, Text):
        return replace(block, call=command(block.call))
    if isinstance(block, Facts):
        rows = [(word, said if isinstance(said, Cell) else Cell(said)) for word, said in block.rows]
        return Facts(tuple((word, said._replace(call=command(said.call))) for word, said in rows))
    if isinstance(block, Items):
        cells = (item if isinstance(item, Cell) else Cell(item) for item in block.items)
        return replace(block, items=tuple(c._replace(call=command(c.call)) for c in cells))
    return block


def put_json(data: Any) -> None:
    """Prints plain data as JSON."""
    from refine.errors import unseen

    # What a terminal obeys stands in texts only, where its escape means the same.
    typer.echo(unseen(json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False)))


def put(
    found: Any,
    as_json: bool,
    *calls: str,
    page: Callable[[], Page] | None = None,
    why: bool = False,
    whole: bool = False,
) -> None:
    """Prints a result: as JSON, or as its page.

    Args:
        found: The result.
        as_json: Whether as JSON.
        calls: What one would type next.
        page: Makes another page than its own.
        why: Whether to print why, in place of the glance.
        whole: Whether to print everything.
    """
    if as_json:
        from refine.utils.display import Shown
        from refine.utils.plain import plain

        data = found.to_dict() if isinstance(found, Shown) else plain(found)
        put_json({**data, "page": page().to_dict()} if page and isinstance(found, Shown) else data)
        return
    shown = page() if page else found.page()
    show(shown.details if whole else shown.why() if why else shown, *calls)


def put_path(path: Path, as_json: bool) -> None:
    """Prints where something was written."""
    if as_json:
        put_json({"path": str(path)})
    else:
        typer.echo(str(path))


@contextmanager
def only_json(as_json: bool) -> Iterator[None]:
    """While trials run, what objectives and their workers print goes to the error stream: the output is JSON alone."""
    if not as_json:
        yield
        return
    output = sys.stdout
    output.flush()
    kept = os.dup(1)  # workers inherit the descriptor, and know nothing of sys.stdout
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        output.flush()  # what was written to it meanwhile, by whoever had kept it
        os.dup2(kept, 1)
        os.close(kept)


def objective_words(name: str) -> str:
    """What has to be typed of an objective for a run, as far as its recorded name tells; empty where that is enough."""
    from refine.run.identity import UNNAMED
    from refine.trials.round_record import COMMAND
    from refine.utils.objects import is_import_path, is_installed

    if name.startswith(COMMAND):
        return f"--command {shlex.quote(name.removeprefix(COMMAND))}"
    if name.startswith(UNNAMED):
        return "--objective module:name"
    module, _, last = name.rpartition(".")
    if module and is_installed(name):
        return ""
    file = f"{module.rpartition('.')[2]}.py" if module and is_import_path(name) else "path/to/script.py"
    return f"--objective {shlex.quote(f'{file}:{last}')}"


def typed(store: str, command: str, found: Round, rest: str = "") -> str:
    """A command on a round as one types it."""
    several = len(found.context.store.trees()) > 1
    said = objective_words(found.node.objective) if command == "run" else ""
    words = ["refine", command, shlex.quote(store), found.id, said, rest]
    words += [f"--tree {shlex.quote(found.context.name)}"] if several else []
    return " ".join(word for word in words if word)


def chosen(found: Round) -> Round:
    """The round that a command found by itself; the commands that are suggested name it."""
    remember(ROUND, found.id)
    return found


def calls_on(store: str, found: Round) -> tuple[str, ...]:
    """What one would sensibly type on a round."""
    from refine.design.space_filling import IMPORTED
    from refine.trials.trial import FAILED

    trials = found.trials
    failed, ended = int(trials["state"].isin(FAILED).sum()), len(trials)
    run = found.node.method != IMPORTED and ended < found.n
    calls = [typed(store, "run", found, "--workers 2")] if run else []
    calls += [typed(store, "failures", found)] if failed else []
    if ended > failed:
        calls += [typed(store, "analyze", found), typed(store, "propose", found)]
    return tuple(calls)


def objective_for(found: Round, where: str | None) -> dict[str, Any]:
    """What a round calls, as options of :meth:`refine.Round.run`.

    Args:
        found: The round.
        where: Where its objective is; default by the name that the round recorded.

    Raises:
        ObjectiveError: It can't be found.
    """
    from refine.errors import shown as visible
    from refine.run.identity import UNNAMED
    from refine.trials.round_record import COMMAND
    from refine.utils.objects import found_object, is_installed, named_object

    name = found.node.objective
    if where is None:
        if name.startswith(UNNAMED):
            from refine.errors import ObjectiveError

            raise ObjectiveError(
                f"round {found.id}: was imported without an objective; say what to run: --objective module:name"
            )
        if name.startswith(COMMAND):
            from refine.errors import ObjectiveError

            # A store may come from elsewhere: what runs is what somebody typed here.
            raise ObjectiveError(
                f"round {found.id}: runs a program; give it again: --command {shlex.quote(name.removeprefix(COMMAND))}"
            )
        if is_installed(name):
            typer.echo(f"importing {visible(name)}, which the store names", err=True)
        return {"objective": named_object(name)}
    given = found_object(where)
    # A script's own function is recorded without a module; found in its file it is the same one.
    script = "." not in name and getattr(given, "__qualname__", None) == name
    return {"objective": given, "name": name} if script else {"objective": given}
