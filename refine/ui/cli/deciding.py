"""Commands for decisions, from propose to tag; the review page; an assistant; removals."""

from __future__ import annotations

import threading
import webbrowser
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from refine.errors import NotFoundError, ReviewError, shown
from refine.run.machine import Machine
from refine.ui.cli.shared import (
    BRING,
    DECIDE,
    ROUND_HELP,
    AtNewest,
    AtRound,
    AuthorOption,
    Beside,
    Called,
    Drawn,
    EpsilonOption,
    Explained,
    Given,
    InTree,
    NoteOption,
    Output,
    Removal,
    chosen,
    command,
    option,
    project,
    put_json,
    say,
)
from refine.ui.cli.spelling import completed, in_shell
from refine.utils.action import Action, Symbol
from refine.utils.display import Page, Text, line
from refine.utils.format import percent, plural

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.space.space import Space
    from refine.tree.round import Round

EditOption = Annotated[
    list[str] | None,
    Option(
        "--edit",
        "-e",
        metavar="NAME=VALUE",
        help="Set a parameter: 'dropout=(0, 0.2)', 'units=[8, 16]', optimizer=Adam; may be repeated.",
    ),
]
SizeOption = Annotated[
    int | None,
    Option("-n", "--n", help="Run this many configurations in the next round; default the advice."),
]
RiskOption = Annotated[float, Option(help="Accept this risk of cutting off the best value.")]
WhichRiskOption = Annotated[
    float | None, Option("--risk", help="Choose the proposal of this risk; default the last one.")
]


@dataclass(frozen=True, kw_only=True)
class Edits(Given):
    """Edits and rejections of the last proposal."""

    edit: EditOption = None
    reject: list[str] | None = option(
        "Leave a parameter unchanged; may be repeated.", "--reject", "-r", metavar="NAME"
    )
    risk: WhichRiskOption = None

    def review(self, round_: Round) -> Review:
        """The last proposal on a round, with edits and rejections.

        Raises:
            ReviewError: The round has no proposal at this risk, or its trials changed after the proposal.
        """
        from refine.space.literals import typed_pairs

        proposals = round_._proposals
        if not proposals:
            raise ReviewError(
                f"round {round_.id} has no proposal yet; make one first", Action("round.propose")
            )
        matching = [p for p in proposals if self.risk is None or p.risk == self.risk]
        if not matching:
            risks = ", ".join(f"{p:g}" for p in sorted({p.risk for p in proposals}))
            raise ReviewError(
                f"round {round_.id} has proposals of risk {risks}, got {self.risk:g}; make that one first",
                Action("round.propose", risk=self.risk),
            )
        review = round_._review(matching[-1])  # reading keeps the last proposal the last one
        if self.edit:
            review = review.edit(typed_pairs(self.edit, "--edit"))
        if self.reject:
            return review.reject(*self.reject)
        return review


@dataclass(frozen=True, kw_only=True)
class Child(Drawn):
    """Design and shares of the next round."""

    heading = "The next round"
    n: SizeOption = None
    audit: float | None = option(
        "Set the share of trials outside the new space, which test the claim; accept defaults to the advice."
    )
    author: AuthorOption = None


@command(DECIDE)
def propose(
    target: AtNewest,
    out: Explained,
    risk: RiskOption = 0.05,
    epsilon: EpsilonOption = None,
    renew: Annotated[
        bool,
        Option("--renew", help="Include trials that finished after an earlier decision."),
    ] = False,
    options: Annotated[
        bool, Option("--options", help="Compare proposals of more and less risk instead; stores none.")
    ] = False,
) -> None:
    """Propose bounds for the next round, and store the proposal for a decision."""
    from refine.review.review import advised_outlook, next_step

    with target.round() as round_:
        if options:
            listed = round_.propose(risk, epsilon, renew=renew, keep=False).options()
            alternatives = [option for option in listed.rows if option is not listed.now]
            out.put(listed, *(Action("round.propose", risk=option.risk) for option in alternatives[:1]))
            return
        review = round_.propose(risk, epsilon, renew=renew)
        if not out.as_json:
            out.put(review)
            return
        parts = {
            "next_step": next_step(review),
            "worth": advised_outlook(review),
            "options": review.options(),
        }
        data = {name: None if part is None else part.to_json() for name, part in parts.items()}
        put_json({**data, **review.proposal.to_dict(), "page": review._page().to_dict()})


@command(DECIDE)
def accept(
    target: AtNewest,
    out: Output,
    edits: Edits,
    new: Child,
    preview: Annotated[
        bool, Option("--preview", help="Print the consequences instead; decides nothing.")
    ] = False,
) -> None:
    """Accept the last proposal, with edits and rejections, and create the next round."""
    from refine.review.round_spec import with_plan

    with target.round() as round_:
        review = edits.review(round_)
        if preview:
            previewed = review.preview(n=new.n)
            words = filter(None, ("refine accept STORE ROUND", edits.typed(), new.typed()))
            out.put(previewed, completed(" ".join(words)), page=lambda: _of_which(review, previewed._page()))
            return
        child = review.accept(**with_plan(new.options()))
        _say_new(review.proposal.old, child, review.proposal.space)
        if target.round_name == "last":
            say("From now on, `last` names the new round.", err=True)
        if planned := round_.n - len(round_.trials):
            call = in_shell(Action("round.run"), round_.id)
            say(
                f"Round {round_.id} still has {plural(planned, 'planned trial')} to run: {call}",
                err=True,
            )
        out.put(chosen(child), page=lambda: _of_which(review, child._page()))


@command(DECIDE)
def decline(
    target: AtNewest,
    out: Output,
    note: NoteOption = "",
    author: AuthorOption = None,
    risk: WhichRiskOption = None,
) -> None:
    """Decline the last proposal."""
    with target.round() as round_:
        review = Edits(risk=risk).review(round_)
        review.decline(note, author=author)
        branch = Action("round.branch", Symbol("space"))
        out.put(round_, branch, page=lambda: _of_which(review, round_._page()))


@command(DECIDE)
def branch(
    target: AtNewest,
    out: Output,
    new: Child,
    edit: EditOption = None,
    space: Annotated[
        str | None, Option(help="Replace the whole space: a .toml or .json file, or module:name.")
    ] = None,
    previous: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="State the value of an added parameter in earlier trials."),
    ] = None,
    seed: Annotated[
        int | None, Option(help="Seed the design and the trials; default this round's seed.")
    ] = None,
) -> None:
    """Create a child round on another space, without a proposal. --edit may add parameters."""
    from refine.review.round_spec import with_plan
    from refine.space.files import read_space
    from refine.space.literals import typed_pairs

    if (space is None) == (edit is None):
        raise ReviewError(
            "branch needs either --edit or --space; for the same space under another seed give --edit "
            "and --seed"
        )
    with target.round() as round_:
        if space is None:
            changed = _changed(round_, typed_pairs(edit or [], "--edit"))
        else:
            changed = read_space(space)
        before = typed_pairs(previous or [], "--previous") or None
        child = round_.branch(changed, previous=before, seed=seed, **with_plan(new.options()))
        _say_new(round_.space, child)
        out.put(chosen(child))


def _say_new(old: Space, child: Round, proposed: Space | None = None) -> None:
    """Warns of choices that the old space does not have."""
    from refine.proposal.preview import new_values
    from refine.report.pages.reasons import sentence

    for value in new_values(old, child.space, proposed):
        say(f"warning: {shown(sentence(value))}", err=True)


def _changed(round_: Round, edits: dict[str, Any]) -> Any:
    from refine.space.edits import edit_space
    from refine.space.space import Space

    inside = {n: v for n, v in edits.items() if n in round_.space}
    added = {n: v for n, v in edits.items() if n not in round_.space}
    return Space(
        {**edit_space(round_.space, round_.space, inside), **added},
        [str(c) for c in round_.space.constraints],
    )


def _of_which(review: Review, page: Page) -> Page:
    """A page headed by the risk of its proposal: a round may have several proposals."""
    about = Text(f"The proposal of risk {percent(review.proposal.risk)} on round {review.round.id}.", "faint")
    return replace(page, blocks=(about, *page.blocks))


@command(DECIDE)
def budget(
    target: InTree,
    out: Output,
    budget: Annotated[
        str | None,
        Argument(
            metavar="BUDGET",
            help="Set this budget: trials (60), training time ('8 h'), or none; default prints it.",
        ),
    ] = None,
) -> None:
    """Print or set the budget that pays for the trials of the study."""
    with target.tree() as tree:
        if budget is not None and budget.lower() == "none":
            tree.budget = None
        elif budget is not None:
            tree.budget = budget
        state = tree.budget
        text = f"{plural(state.spent, 'trial')} spent; {state}{state.reserve_text()}"
        out.say(text, state.to_json())


@command(DECIDE)
def tag(
    target: AtRound,
    out: Output,
    label: Annotated[
        str | None, Argument(metavar="NAME", help="Give this name; an existing name moves to the round.")
    ] = None,
    note: Annotated[str | None, Option(help="Replace the note of the round.")] = None,
) -> None:
    """Name a round, or change its note."""
    if label is None and note is None:
        raise ReviewError(
            "tag takes a NAME, --note, or both, got neither; for example refine tag STORE ROUND paper"
        )
    with target.tree() as tree:
        round_ = chosen(tree[target.round_name])
        if label is not None:
            tree.tag(round_, label)
        if note is not None:
            round_.note = note
        text = f"round {round_.id}"
        if label is not None:
            text = f"{line(label)}: {text}"
        if note is not None:
            text = f'{text}, "{line(note)}"'
        out.say(text, {"tag": label, "round": round_.id, "note": round_.note})


_TO = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={url}">
<title>refine</title>
<a href="{url}">The review page</a>
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """Options of the server of the review page."""

    port: int = option("Serve on this port; 0 for a free one.", default=0, min=0, max=65535)
    open_: bool = option(
        "Open a browser; default on.", "--open/--no-open", "--browser/--no-browser", default=True
    )
    behind: str | None = option("Trust this origin, a reverse proxy that serves the page to a team.")
    author_header: str | None = option(
        "Read the author from this header, in which the proxy names the signed-in user."
    )


@command(DECIDE)
def review(
    target: InTree,
    round_name: Annotated[
        str, Argument(metavar="ROUND", help=f"{ROUND_HELP} The store OTHER may stand here instead.")
    ] = "last",
    *,
    second_study: Beside,
    called: Called,
    risk: RiskOption = 0.05,
    served: Served,
) -> None:
    """Open the review page: drag bounds, preview the decision, accept, and run the round. Ctrl-C stops it.

    With OTHER, the page compares two studies: their results, proposals and trials.
    """
    from refine.run.workers.temp_folder import own_folder
    from refine.ui.web.background import Background
    from refine.ui.web.server import Server, proxy_of
    from refine.ui.web.session import Session

    proxy = proxy_of(served.behind, served.author_header)
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        tree = stack.enter_context(target.tree())
        try:
            round_ = tree[round_name]
        except NotFoundError:  # the name of a round wins over a file of the same name
            a_store = "://" in round_name or round_name.endswith(".db") or Path(round_name).is_file()
            if second_study.other is not None or not a_store:
                raise
            round_ = tree["last"]
            second_study = replace(second_study, other=round_name)
        second = stack.enter_context(second_study.opened(tree, target.store))

        def session_of(shown: Round, background: Background, other: Session | None = None) -> Session:
            session = Session(shown, risk, background=stack.enter_context(closing(background)), other=other)
            stack.callback(session.stop)
            # Analyze while the browser starts.
            threading.Thread(
                target=session.handle, args=({"type": "round", "round": shown.id},), daemon=True
            ).start()
            return session

        # A typed objective runs rounds of the first study only: its name may mean other code in the second.
        other = None
        if second is not None:
            other = session_of(second["last"], Background())
        own = Background(called.source, project().table("machine"))
        server = Server(session_of(chosen(round_), own, other), served.port, proxy)
        say(f"{server.url}\nCtrl-C stops it")
        if served.open_:
            # Other users can read the arguments of a browser's process, and the address is the key.
            page = folder / "review.html"
            page.write_text(_TO.format(url=server.url), encoding="utf-8")
            threading.Timer(0.5, webbrowser.open, [page.as_uri()]).start()
        server.run()


@command(BRING)
def mcp(
    target: InTree,
    called: Called,
    agent: Annotated[str, Option(help="Name the assistant; it signs as agent:NAME.")] = "assistant",
    budget: Annotated[int, Option(min=0, help="Let it run at most this many trials.")] = 0,
    may_accept: Annotated[
        bool, Option("--may-accept", help="Let it decide; by default it only suggests.")
    ] = False,
    share: Annotated[
        float,
        Option(
            min=0,
            max=1,
            help="Let it choose this share of the budget, and of a round.",
        ),
    ] = 0.3,
    http: Annotated[
        int | None,
        Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve HTTP on 127.0.0.1 at this port instead, protected by a printed token; 0 for a "
            "free port.",
        ),
    ] = None,
) -> None:
    """Serve the tree to an assistant by the Model Context Protocol, on standard input and output or HTTP.

    It looks, suggests edits with reasons, and runs trials within the budget. A person accepts.
    """
    from refine.ui.assistant import Assistant
    from refine.ui.mcp import HttpServer, server_of

    with target.tree():
        pass  # a store that cannot be opened is an error before the server starts
    machine = Machine(**project().machine())
    assistant = Assistant(
        target.tree, agent, budget, may_accept, share, objective_of=called.objective_of, machine=machine
    )
    if http is None:
        server_of(assistant).run("stdio")
        return
    server = HttpServer(assistant, http)
    say(f"{server.url}\nAuthorization: Bearer {server.token}\nCtrl-C stops it")
    server.run()


# Commands that remove.


_TRIAL = "by its row in the table, from 0; may be repeated."


@command(BRING)
def delete(
    target: AtRound,
    out: Output,
    removal: Removal,
    state: Annotated[
        list[str] | None,
        Option("--state", help="Remove only trials in this state, for example failed; may be repeated."),
    ] = None,
    trial: Annotated[list[int] | None, Option("--trial", help=f"Remove only this trial, {_TRIAL}")] = None,
    below: Annotated[bool, Option("--below", help="Remove its descendants too.")] = False,
) -> None:
    """Remove a round, or some of its trials, for good. The log records the removal."""
    from refine.run.options import check_rerun

    with target.tree() as tree:
        round_ = chosen(tree[target.round_name])
        if not (state or trial):
            trials = plural(len(round_.trials), "trial")
            signed = removal.ask(f"Remove round {round_.id} with {trials} for good?")
            removed = tree.delete(round_, below=below, **signed)
            out.say(f"removed: {', '.join(removed)}", {"rounds": removed})
            return
        if below:
            raise ReviewError(
                "--below removes whole rounds and cannot be combined with --state or --trial; leave it out"
            )
        rows = round_.trials["state"].isin(check_rerun(state or [])).to_numpy()
        numbers = [i for i, inside in enumerate(rows) if inside] + (trial or [])
        signed = removal.ask(f"Remove {plural(len(set(numbers)), 'trial')} of round {round_.id} for good?")
        _put_count(out, round_, "trials", "removed", tree.delete(round_, numbers, **signed))


@command(BRING)
def exclude(
    target: AtRound,
    out: Output,
    trial: Annotated[list[int], Option("--trial", help=f"Name a trial, {_TRIAL}")],
    reason: Annotated[
        str, Option("--reason", help="Give the reason, which reports and the log show; required to exclude.")
    ] = "",
    author: AuthorOption = None,
    undo: Annotated[bool, Option("--undo", help="Include excluded trials again.")] = False,
) -> None:
    """Exclude trials from every analysis, for example those of a broken machine. The store keeps them."""
    with target.round() as round_:
        count = round_.exclude(trial, reason, undo=undo, author=author)
        change = "included" if undo else "excluded"
        _put_count(out, round_, change, change, count)


def _put_count(out: Output, round_: Round, key: str, change: str, count: int) -> None:
    out.say(f"round {round_.id}: {plural(count, 'trial')} {change}", {"round": round_.id, key: count})
