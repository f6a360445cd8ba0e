"""Shared parts of the commands: app, groups of options, errors and exit codes, store, printing."""

from __future__ import annotations

import ast
import codecs
import inspect
import json
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout, suppress
from copy import copy
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import partial, wraps
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer
from typer import Argument, Option
from typer.core import TyperCommand, TyperGroup

from refine.errors import (
    Hinted,
    NotFoundError,
    ObjectiveError,
    RefineError,
    RefineWarning,
    SpaceError,
    shown,
    unseen,
)
from refine.run.machine import Machine
from refine.ui.cli.other_words import CALLS, fix_of
from refine.ui.cli.spelling import (
    OBJECTIVE,
    PROJECT,
    ROUND,
    STORE,
    TREE,
    TYPED_OBJECTIVE,
    completed,
    forget,
    in_shell,
    quoted,
    remember,
    remembered,
    words_of,
)
from refine.ui.project import FILE, Project, Source, is_own
from refine.utils.action import Action
from refine.utils.display import Page, Shown, Text, respelled, to_rich, to_text
from refine.utils.objects import found_object, is_import_path, is_installed, named_object

if TYPE_CHECKING:
    import refine
    from refine.analysis.winner import Winner
    from refine.tree.round import Round

# Exit codes: done; an error in one line; wrong usage; done with the answer no, or open; Ctrl-C.
DONE = 0
ERROR = 1
USAGE = 2
NO = 3
OPEN = 4
STOPPED = 130

Keywords = dict[str, Any]  # of a call in Python

# Patterns of Python in messages -> the same in the shell.
_OPTIONS = {
    r"direction='(minimize|maximize)'": r"--\1",
    r"parameters=\[\.\.\.\]": "--parameters NAME,NAME",
    r"answer\.settle\(n=(\d+)\)": r"--settle \1",
}
# A keyword with its value, if any; or a quoted text, or known names, in which nothing is replaced.
_QUOTED = r"""(?<![\w=])('[^']*'|"[^"]*"|known: [^;]*)"""
_KEYWORD = re.compile(_QUOTED + r"|(?<![\w.'-])(?P<keyword>[a-z_]+)=(?!=)(?P<value>'[^']*'|[^\s,;)]*)")
_WORDS = "refine.words"  # key of the typed words in the context of a command
_SUBJECT = re.compile("round ([0-9a-f]{12}):")  # at the start of a message: the round of its actions


class _Typed(NamedTuple):
    """The running command.

    Attributes:
        words: All typed words.
        options: The options of the command, by the keywords of its calls in Python; empty for an argument.
    """

    words: Sequence[str]
    options: Mapping[str, str]


def _spelled(message: Warning | Exception | str, typed: _Typed) -> str:
    """A message with commands in place of actions, and options of the command in place of keywords."""
    text = str(message.args[0] if isinstance(message, Hinted | KeyError) and message.args else message)
    for pattern, option_text in _OPTIONS.items():
        text = re.sub(pattern, option_text, text)
    text = _KEYWORD.sub(partial(_as_option, typed), text)
    if not isinstance(message, Hinted):
        return text
    subject = _SUBJECT.match(text)
    return Hinted(text, *message.actions).spelled(partial(in_shell, round_id=subject and subject[1]))


def _as_option(typed: _Typed, match: re.Match[str]) -> str:
    """The option for a matched keyword and its value; quoted and typed texts are unchanged."""
    option = typed.options.get(match["keyword"] or "")
    if option is None or any(match[0] in word for word in typed.words):
        return match[0]
    return f"{option} {match['value']}".strip()


# Letters of tables, trees and bars -> their substitutes if the encoding of the output lacks them.
_PLAIN = str.maketrans("─│└├■□★·…→", "-|`+#.*-.>")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: replaces a missing letter by an ASCII letter, to align columns."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(c if c.isascii() else "?" for c in letters), error.end


codecs.register_error("refine.nearest", _nearest)


class _Commands(TyperGroup):
    """The group of commands: errors of refine and of the file system become one line and exit code 1."""

    def main(self, *args: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
                stream.reconfigure(errors="refine.nearest")
        return super().main(*args, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in CALLS and args[0] not in self.commands:
            ctx.fail(f"No such command {args[0]!r}; type {CALLS[args[0]]}")
        return super().resolve_command(ctx, args)

    def _typed(self, ctx: Any) -> _Typed:
        called = self.get_command(ctx, ctx.invoked_subcommand or "")
        options = {}
        for p in getattr(called, "params", ()):
            option_text = f"--{p.name.replace('_', '-')}"
            if p.param_type_name == "argument":
                options[p.name] = ""
            elif option_text in p.opts:
                options[p.name] = option_text
        return _Typed(ctx.meta[_WORDS], options)

    def invoke(self, ctx: Any) -> Any:
        show_in_python = warnings.showwarning

        def show_warning(message: Warning | str, category: type[Warning], *position: Any) -> None:
            if issubclass(category, RefineWarning):
                say(f"warning: {shown(_spelled(message, self._typed(ctx)))}", err=True)
            else:
                show_in_python(message, category, *position)

        with warnings.catch_warnings():
            warnings.showwarning = show_warning  # type: ignore[assignment]
            try:
                return super().invoke(ctx)
            except BrokenPipeError:
                raise  # the reader of the output closed it
            except KeyboardInterrupt as stop:
                say(str(stop) or "stopped", err=True)
                raise typer.Exit(STOPPED) from None
            except (RefineError, OSError, KeyError) as error:
                say(f"error: {shown(' '.join(_spelled(error, self._typed(ctx)).split()))}", err=True)
                raise typer.Exit(ERROR) from None
            finally:
                forget()
                _project.forget()


class _Command(TyperCommand):
    """A command with fixes for options of other tools."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name for p in self.params for name in (*p.opts, *p.secondary_opts)}
        for option_text in (word.partition("=")[0] for word in args if word.startswith("--")):
            if option_text not in options and (fix := fix_of(option_text, options)):
                ctx.fail(f"No such option {option_text}; {fix}")
        return super().parse_args(ctx, args)


def say(text: str, *, err: bool = False) -> None:
    """Prints a line in the encoding of the stream; typer alone would write UTF-8 to an ASCII stream."""
    typer.echo(text, file=sys.stderr if err else sys.stdout)


app = typer.Typer(
    cls=_Commands,
    help="Narrow a search space round by round: run, look, decide. Exit codes: 0 done, 1 error, 2 wrong "
    "usage, 3 answer is no, 4 judge says CONFIRM, 130 stopped.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Headings of the help.
RUN = "Run"
LOOK = "Look"
DECIDE = "Decide"
BRING = "Move and repair"


def command(heading: str, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a function a command of the app; the fields of a dataclass argument become options."""

    def made(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
        options: list[inspect.Parameter] = []
        for p in inspect.signature(function).parameters.values():
            plain_option = p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
            options += _options_of(groups[p.name]) if p.name in groups else [plain_option]

        @wraps(function)
        def called(**typed: object) -> None:
            for name, kind in groups.items():
                typed[name] = kind(**{f.name: typed.pop(f.name) for f in fields(kind)})
            function(**typed)

        called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in options}
        return app.command(name, cls=_Command, rich_help_panel=heading)(called)

    return made


def option(text: str, *flags: str, default: Any = None, **settings: Any) -> Any:
    """A field of a group that is an option of a command, with a help text and settings as for typer."""
    return field(default=default, metadata={"option": Option(*flags, help=text, **settings)})


def _options_of(group: Any) -> Iterator[inspect.Parameter]:
    """The fields of a group as options, under the heading of the group."""
    hints = get_type_hints(group, include_extras=True)
    for f in fields(group):
        kind = hints[f.name]
        info = f.metadata.get("option")
        if info is None:
            info = kind.__metadata__[0]
            kind = kind.__origin__
        info = copy(info)
        info.rich_help_panel = getattr(group, "heading", None)
        yield inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=Annotated[kind, info],
        )


class _OfCommand:
    """The project file of the running command."""

    settings: Sequence[str] = ()
    project: Project | None = None

    def forget(self) -> None:
        """Removes project and settings."""
        self.settings = ()
        self.project = None


_project = _OfCommand()


def project() -> Project:
    """The project file of the running command: of ``--project``, else of the working folder.

    The file may name a program to run. A warning names a file that is not read: of another user in the
    working folder, or next to the store in another folder, because file and store may come from elsewhere.

    Raises:
        SpaceError: The file can't be read, or has an unknown key.
    """
    if _project.project is None:
        use_project(_project_file())
    assert _project.project is not None
    return _project.project


def use_project(chosen: Project) -> None:
    """Takes a project, with the values of ``--set``, for the running command."""
    _project.project = chosen.with_values(_project.settings)


def _project_file() -> Project:
    if typed := remembered(PROJECT):
        return Project.read(typed)
    file = Path(FILE)
    if file.is_file() and is_own(file):
        return Project.read(file)
    reason = "other users own the file or may change it"
    if not file.is_file():
        file = _store_folder() / FILE
        reason = "a store from elsewhere may bring a file that names any program"
    if file.is_file():
        say(
            f"warning: {file} is not read, because {reason}; type --project {quoted(str(file))} to use it",
            err=True,
        )
    return Project()


def _store_folder() -> Path:
    """The folder of the typed store; the working folder for a server, or without a store."""
    from refine.store.engine import file_of, url_of

    store = remembered(STORE)
    file = None if store is None else file_of(url_of(store))
    return Path() if file is None else file.parent


STORE_HELP = "Open this store: a path of a SQLite file, or a URL."
StoreArgument = Annotated[str, Argument(metavar="STORE", help=STORE_HELP)]
ROUND_HELP = "Name a round: last, root, a path in the printed tree (1.2), a tag, an id or its beginning."
RoundArgument = Annotated[str, Argument(metavar="ROUND", help=ROUND_HELP)]
OfArgument = Annotated[
    str | None,
    Argument(metavar="ROUND", help="Name a round; default the whole tree."),
]
NoteOption = Annotated[str, Option(help="Give the reason, in your words.")]
AuthorOption = Annotated[str | None, Option(help="Name the author of the decision; default the user name.")]
QuietOption = Annotated[bool, Option("--quiet", "-q", help="Hide the progress bar.")]
EpsilonOption = Annotated[
    float | None, Option(help="Set the tolerance: smaller differences count as ties; default from the noise.")
]
HtmlOption = Annotated[bool, Option("--html", help="Write one self-contained HTML file instead of markdown.")]


@dataclass(frozen=True, kw_only=True)
class InTree:
    """A store and the name of a tree."""

    store: StoreArgument
    name: str | None = option("Name the tree; required if the store holds several trees.", "--tree", "-t")
    project_file: str | None = option(
        f"Read program, goal and machine from this file; default {FILE} of the working folder.",
        "--project",
        metavar="FILE",
    )

    def __post_init__(self) -> None:
        remember(STORE, self.store)
        remember(TREE, self.name)
        remember(PROJECT, self.project_file)

    def tree(self) -> refine.Tree:
        """The tree, to be closed; see :func:`opened`."""
        return opened(self.store, self.name)


_MaybeStore = Annotated[str | None, Argument(metavar="STORE", help=STORE_HELP)]


@dataclass(frozen=True, kw_only=True)
class MaybeInTree(InTree):
    """A store, or none."""

    store: _MaybeStore = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A second study: a second store, or a second tree of the first store."""

    other: Annotated[
        str | None, Argument(metavar="OTHER", help="Show the study of a second store on the same page.")
    ] = None
    other_tree: str | None = option("Name the tree of OTHER; required if OTHER holds several trees.")

    @contextmanager
    def opened(self, tree: refine.Tree, store: str) -> Iterator[refine.Tree | None]:
        """The second study, while it is open; ``None`` without one.

        Raises:
            ReviewError: The two studies cannot share a page.
        """
        from refine.tree.comparison import check_studies

        if self.other is None and self.other_tree is None:
            yield None
            return
        with opened(self.other or store, self.other_tree, "--other-tree") as other:
            check_studies(tree, other)
            yield other


@dataclass(frozen=True, kw_only=True)
class AtRound(InTree):
    """A round of a tree."""

    round_name: RoundArgument

    @contextmanager
    def round(self) -> Iterator[Round]:
        """The round, while the tree is open."""
        with self.tree() as tree:
            yield chosen(tree[self.round_name])


@dataclass(frozen=True, kw_only=True)
class AtNewest(AtRound):
    """A round of a tree, by default the newest round."""

    round_name: RoundArgument = "last"


@dataclass(frozen=True, kw_only=True)
class AtNewestRun(InTree):
    """A round of a tree, by default the newest round with trials."""

    round_name: Annotated[
        str | None,
        Argument(metavar="ROUND", help=f"{ROUND_HELP} Default the newest round with finished trials."),
    ] = None

    @contextmanager
    def round(self) -> Iterator[Round]:
        """The round, while its tree is open; a newer round without trials is named on the error stream."""
        with self.tree() as tree:
            if self.round_name is not None:
                yield chosen(tree[self.round_name])
                return
            newest_round = tree["last"]
            with_trials = [round_ for round_ in tree.rounds if len(round_.trials)]
            round_ = chosen((with_trials or [newest_round])[-1])
            if round_.id != newest_round.id:
                say(f"round {newest_round.id} has no trials yet; round {round_.id} is shown", err=True)
            yield round_


@dataclass(frozen=True, kw_only=True)
class Given:
    """Options for the keywords of a call."""

    def options(self, *without: str) -> Keywords:
        """The typed options, except the named options."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in without}
        return {name: value for name, value in values.items() if value != getattr(type(self), name, MISSING)}

    def typed(self, *without: str) -> str:
        """The typed options as words of a command, except the named options."""
        words = []
        for name, value in Given.options(self, *without).items():
            texts = map(str, value if isinstance(value, list) else [value])
            words += [f"--{name.replace('_', '-')} {quoted(text)}" for text in texts]
        return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class Drawn(Given):
    """The design of a new round."""

    design: str | None = option(
        "Choose the design: sobol, uniform, qmc, tpe, gp or cmaes; default the parent's, else sobol."
    )
    pruner: str | None = option("Stop poor trials early: median; default none.")
    exploit: float | None = option(
        "Set the share of trials that the model places as results arrive; accept defaults to the advice."
    )
    belief: list[str] | None = option(
        "Declare where you expect the best value: 'lr=near 1e-3 x3', 'dropout=near 0.2 +-0.1', "
        "'optimizer=adam:0.7', or a .toml file.",
        metavar="NAME=BELIEF",
    )
    note: NoteOption = ""

    def options(self, *without: str) -> Keywords:
        """The typed options, with the belief parsed."""
        from refine.space.belief import typed_belief

        options = super().options("belief", *without)
        if self.belief:
            options["belief"] = typed_belief(self.belief)
        return options


@dataclass(frozen=True, kw_only=True)
class Program(Given):
    """A program as the objective."""

    heading = "Objective"
    command: str | None = option(
        "Run this program instead: 'python train.py --lr {lr}'. The last JSON line of its output "
        "holds the metrics."
    )
    metric_pattern: list[str] | None = option(
        r"Read metrics of the program from its output: 'val_acc=(\S+)'. The last match counts.",
        metavar="REGEX",
    )

    def __post_init__(self) -> None:
        if self.metric_pattern and self.command is None:
            raise ObjectiveError(
                "--metric-pattern reads the output of a program and needs --command; leave it out for a "
                "function"
            )

    @property
    def program(self) -> str | None:
        """The name of the typed program, with metric patterns; ``None`` without a program."""
        if self.command is None:
            return None
        from refine.run.command import program_name

        return program_name(self.command, self.metric_pattern or ())


@dataclass(frozen=True, kw_only=True)
class Called(Program):
    """The objective of trials: a function or a program."""

    objective: str | None = option(
        "Call this objective: module:name or path/to/file.py:name; default the name that the round recorded."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.command is not None and self.objective is not None:
            raise ObjectiveError(
                "--command (a program) cannot be combined with --objective (a function); give one of them"
            )
        if self.objective is not None:
            remember(TYPED_OBJECTIVE, f"--objective {quoted(self.objective)}")
        if self.program is not None:
            remember(TYPED_OBJECTIVE, program_options(self.program))

    @property
    def source(self) -> Source:
        """The typed objective, else the objective of the project file."""
        if self.objective is None and self.program is None:
            return project().source
        return Source(self.objective, self.program)

    def objective_of(self, round_: Round | None) -> Keywords:
        """The keyword for the objective of a round; empty if ``round_`` is ``None``."""
        if round_ is None:
            return {}
        return objective_for(round_, self.source)


@dataclass(frozen=True, kw_only=True)
class Execution(Called):
    """The objective, and the machine of a call that runs trials."""

    workers: int | None = option("Run this many trials at a time; default 1.", "--workers", "-w", min=1)
    settings: list[str] | None = option(
        "Set a value of the project file for this call, for example machine.timeout=600; may be repeated.",
        "--set",
        metavar="TABLE.KEY=VALUE",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _project.settings = self.settings or []

    def keywords(self, **of_machine: object) -> Keywords:
        """The machine of the project file with the typed options, and further ones, as a keyword."""
        machine = project().machine()
        if self.workers is not None:
            machine["workers"] = self.workers
        return {"machine": Machine(**{**machine, **of_machine})}

    def on(self, round_: Round | None, **of_machine: object) -> Keywords:
        """The machine, and the objective of a round; no objective if ``round_`` is ``None``."""
        return self.keywords(**of_machine) | self.objective_of(round_)


@dataclass(frozen=True, kw_only=True)
class Removal(Given):
    """Note and author of a removal, and whether to confirm it."""

    confirmed: bool = option("Skip the confirmation.", "--yes", "-y", default=False)
    note: NoteOption = ""
    author: AuthorOption = None

    def ask(self, question: str) -> Keywords:
        """Note and author for the log, after confirmation; without a terminal, only --yes confirms."""
        if not self.confirmed and not typer.confirm(question, err=True):
            say("nothing was changed", err=True)
            raise typer.Exit(NO)
        return self.options("confirmed")


@dataclass(frozen=True, kw_only=True)
class Output:
    """Text or JSON."""

    as_json: bool = option("Print JSON instead of text.", "--json", default=False)

    def put(self, result: Any, *calls: Action | str, page: Callable[[], Page] | None = None) -> None:
        """Prints a result as JSON, or as a page whose next calls are ``calls`` if given."""
        if not self.as_json:
            show(self.unfolded(page() if page else result._page()), *calls)
            return
        from refine.utils.plain import plain

        if not isinstance(result, Shown):
            put_json(plain(result))
        elif page:
            put_json({**result.to_dict(), "page": page().to_dict()})
        else:
            put_json(result.to_dict())

    def unfolded(self, page: Page) -> Page:
        """The printed part of a page."""
        return page

    def say(self, text: str, data: object) -> None:
        """Prints a line, or its data as JSON."""
        if self.as_json:
            put_json(data)
        else:
            say(text)

    def path(self, path: object) -> None:
        """Prints the path of a written file."""
        self.say(str(path), {"path": str(path)})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With JSON, redirects the output of objectives and workers to the error stream."""
        if not self.as_json:
            yield
            return
        output = sys.stdout
        output.flush()
        descriptor = os.dup(1)  # workers inherit it, not sys.stdout
        try:
            os.dup2(2, 1)
            with redirect_stdout(sys.stderr):
                yield
        finally:
            output.flush()  # text that code with an older reference wrote
            os.dup2(descriptor, 1)
            os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class Explained(Output):
    """Text at three lengths, or JSON."""

    evidence: bool = option("Print the evidence instead of the summary.", "--why", default=False)
    everything: bool = option("Print everything, with every number.", "--all", default=False)

    def unfolded(self, page: Page) -> Page:
        """The printed part of a page: summary, reasons, or full page."""
        if self.everything:
            return page.details
        if self.evidence:
            return page.why()
        return page


def show(page: Page, *calls: Action | str) -> None:
    """Prints a page, in colours at a terminal, with commands in place of calls."""
    from rich.console import Console

    commands = tuple(text for text in respelled(calls or page.calls, in_shell) if text.startswith("refine "))
    page = replace(page, blocks=respelled(page.blocks, in_shell), calls=commands, folds=())
    # Values come from people and objectives: nothing in them is markup.
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(to_rich(page), crop=False)  # a command is never cut
    else:
        say(to_text(page))


def put_json(data: object) -> None:
    """Prints plain data as JSON; control characters and letters outside the encoding are escaped."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    say(unseen(json.dumps(data, indent=2, allow_nan=False, ensure_ascii=not unicode)))


def opened(store: str, name: str | None, option: str = "--tree") -> refine.Tree:
    """The tree of an existing store.

    Raises:
        NotFoundError: The store is missing, empty, or holds several trees and ``name`` is ``None``.
    """
    import refine
    from refine.store.store import check_exists, only_tree

    check_exists(store)
    only = name or only_tree(
        store,
        f"{option} {{name!r}}",
        f"refine run {quoted(store)} --space FILE --objective MODULE:NAME",
    )
    return refine.Tree(only, store, create=False)


@contextmanager
def started(store: str, name: str | None, add: Callable[[refine.Tree], Round]) -> Iterator[Round]:
    """A new root, while its tree is open. A refused root leaves no new store and no tree without rounds.

    Args:
        store: The store; created if missing, after a root in memory shows that nothing is refused.
        name: Name of the tree, created if missing; default the name of the store's folder, or of the only
            tree.
        add: Adds the root to a tree.

    Raises:
        NotFoundError: The store holds several trees and ``name`` is ``None``.
    """
    import refine
    from refine.store.engine import file_of, url_of

    tree_name = name or _default_name(store)
    file = file_of(url_of(store))
    if file is not None and not file.exists():
        with refine.Tree(tree_name, "sqlite://") as draft, warnings.catch_warnings(action="ignore"):
            add(draft)
    with refine.Tree(tree_name, store) as tree:
        try:
            root = add(tree)
        except BaseException:
            tree._context.store.remove_empty_tree(tree._context.tree)
            raise
        yield root


def _default_name(store: str) -> str:
    """The default name of a new root's tree: of the store's folder; for a server's, of the working folder.

    Raises:
        NotFoundError: The store holds several trees, without the name of the folder.
    """
    from refine.store.engine import file_of, url_of
    from refine.store.store import Store

    file = file_of(url_of(store))
    folder = Path.cwd().name or "study"
    if file is not None:
        folder = file.resolve().parent.name or "study"
    if file is not None and not file.exists():
        return folder
    names: list[str] = []
    with suppress(NotFoundError), closing(Store(store, create=False)) as database:
        names = database.trees()
    if not names or folder in names:
        return folder
    if len(names) == 1:
        return names[0]
    raise NotFoundError(
        f"store {store}: holds {len(names)} trees ({', '.join(names)}); name the tree for the new root, "
        f"or a new tree: --tree {quoted(names[-1])}"
    )


def direction_of(minimize: bool | None) -> dict[str, str]:
    """The keyword of a call for ``--minimize`` or ``--maximize``; empty without either."""
    if minimize is None:
        return {}
    if minimize:
        return {"direction": "minimize"}
    return {"direction": "maximize"}


def ran_another_program(round_: Round, program: str | None) -> bool:
    """True if a round recorded a program, and ``program`` is another one."""
    from refine.trials.round_record import COMMAND

    recorded = round_._node.objective
    return program is not None and recorded.startswith(COMMAND) and recorded != program


def winner_page(won: Winner, round_: Round, source: Source) -> Page:
    """The page of a winner of a round, with the call that trains it.

    The call is known if the typed command, or the person's own project file, names the program of the round.
    """
    page = won._page()
    if source.program != round_._node.objective:
        return page
    columns = round_._records().columns
    seeds = dict(zip(columns["key"], columns["seed"], strict=True))
    with suppress(ObjectiveError):  # for example on a machine without the program
        call = shlex.join(source.command().words(won.params, seeds[won.candidates[0].key]))
        if source.folder is not None:
            call = f"cd {quoted(source.folder)} && {call}"
        configuration, *further = page.blocks
        return replace(page, blocks=(configuration, Text(call, "code", lines=True), *further))
    return page


def _program_words(name: str) -> str:
    """A program and the metric patterns, as in a project file."""
    from refine.run.command import command_and_patterns

    command, patterns = command_and_patterns(name)
    return f"{command!r}" + "".join(f" with metric-pattern '{pattern}'" for pattern in patterns)


def objective_words(name: str) -> str:
    """The option for the objective: as typed, else by the recorded name.

    Empty if the project file names the objective, or if the recorded name can be imported.

    A file is named only if a file of the working folder defines the function. Otherwise ``path/to/`` replaces
    the unknown folder, because two folders may hold files of equal names.
    """
    from refine.run.identity import UNNAMED
    from refine.trials.round_record import COMMAND

    if typed := remembered(TYPED_OBJECTIVE):
        return typed
    named = project().source.recorded_name
    if named == name or (named and name.startswith(UNNAMED)):
        return ""
    if name.startswith(COMMAND):
        return program_options(name)
    if name.startswith(UNNAMED):
        return "--objective module:name"
    module, _, last = name.rpartition(".")
    if module and is_installed(name):
        return ""
    file = "script.py"
    if module and is_import_path(name):
        file = f"{module.rpartition('.')[2]}.py"
    if "." in module or not _defines(Path(file), last):
        file = f"path/to/{file}"
    return f"--objective {quoted(f'{file}:{last}')}"


def program_options(name: str) -> str:
    """The options for a program, from the recorded name."""
    from refine.run.command import command_and_patterns

    command, patterns = command_and_patterns(name)
    options = [f"--command {quoted(command)}"]
    options += [f"--metric-pattern {quoted(pattern)}" for pattern in patterns]
    return " ".join(options)


def _defines(file: Path, name: str) -> bool:
    """Whether a file of the working folder defines a name at its top level; the file is read, never run."""
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return False
    defined = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(statement.name)
        elif isinstance(statement, ast.Assign):
            defined |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return name in defined


def run_typed(store: str, round_: Round) -> str:
    """The command for running a round."""
    words = ["refine run", quoted(store), round_.id, objective_words(round_._node.objective)]
    if len(round_._context.store.trees()) > 1:
        words.append(f"--tree {quoted(round_._context.name)}")
    if file := remembered(PROJECT):
        words.append(f"--project {quoted(file)}")
    return " ".join(word for word in words if word)


def chosen(round_: Round) -> Round:
    """The round of a command; suggested commands name this round."""
    remember(ROUND, round_.id)
    remember(OBJECTIVE, objective_words(round_._node.objective))
    return round_


def newest(tree: refine.Tree) -> refine.Tree:
    """The tree of a command; suggested commands name the newest round."""
    for round_ in tree.rounds[-1:]:
        chosen(round_)
    return tree


def objective_for(round_: Round | None, source: Source) -> Keywords:
    """Options of :meth:`refine.Round.run` for the objective: of a source, else the recorded function.

    Args:
        round_: The round; ``None`` for a new root.
        source: The typed objective, or that of the project file; empty without either.

    Raises:
        ObjectiveError: The objective cannot be found.
    """
    from refine.run.identity import UNNAMED
    from refine.trials.round_record import COMMAND

    if source.program is not None:
        if round_ is not None and ran_another_program(round_, source.program):
            file = quoted(str(project().path or "FILE"))
            raise ObjectiveError(
                f"round {round_.id} ran another program: {_program_words(round_._node.objective)}; now it is "
                f"{_program_words(source.program)}; for a round of the changed program type "
                f"{completed(f'refine run STORE --space {file}')}"
            )
        return {"objective": source.command()}
    if source.function is not None:
        return {"objective": found_object(source.function)}
    if round_ is None:
        raise ObjectiveError(
            "a new root needs --objective module:name or path/to/file.py:name, or a program: --command "
            f"'python train.py --lr {{lr}}'; refine init writes it into {FILE}"
        )
    name = round_._node.objective
    if name.startswith((UNNAMED, COMMAND)):
        # A store may come from elsewhere: only an objective of the user's own file or call may run.
        reason = f"runs a program; name it in {FILE} (refine init writes one), or type it"
        if name.startswith(UNNAMED):
            reason = "imported runs have no objective; name one"
        raise ObjectiveError(f"round {round_.id}: {reason}: {objective_words(name)}")
    if is_installed(name):
        say(f"importing {shown(name)}, which the store names", err=True)
    return {"objective": named_object(name)}


def typed_configuration(text: str) -> dict[str, Any]:
    """A typed configuration: values by name, or a JSON object.

    Raises:
        ReviewError: A quote has no partner.
        SpaceError: The text is neither.
    """
    from refine.space.literals import typed_pairs

    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SpaceError(
                f"a configuration must be values as 'lr=0.1 units=64', or a JSON object, got {text!r:.80}: "
                f"{error}"
            ) from None
        return dict(values)
    return dict(typed_pairs(words_of(text), "add"))
