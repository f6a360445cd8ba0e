"""Commands that decide: propose to roles, the review page, an assistant; and those that take something out."""

from __future__ import annotations

import shlex
import threading
import webbrowser
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from refine.errors import NotFoundError, ReviewError, shown
from refine.ui.cli.shared import (
    DECIDE,
    NO,
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
    chosen,
    command,
    put_json,
    say,
)
from refine.ui.cli.spelling import completed
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Text, line
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
        help="Set a parameter: 'dropout=(0, 0.2)', 'units=[8, 16]', optimizer=Adam. Can be given several times.",
    ),
]
SizeOption = Annotated[int | None, Option("-n", "--n", help="Configurations of the next round.")]
RiskOption = Annotated[float, Option(help="Accepted probability of losing the best value.")]
WhichRiskOption = Annotated[
    float | None, Option("--risk", help="Which of the proposals, by its risk; default the one proposed last.")
]


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What of the last proposal is decided otherwise."""

    edit: EditOption = None
    reject: Annotated[
        list[str] | None,
        Option(
            "--reject",
            "-r",
            metavar="NAME",
            help="Leave a parameter as it is now. Can be given several times.",
        ),
    ] = None
    risk: WhichRiskOption = None

    def typed(self, n: int | None) -> str:
        """The options as they were typed."""
        words = [f"--edit {shlex.quote(e)}" for e in self.edit or []]
        words += [f"--reject {shlex.quote(r)}" for r in self.reject or []]
        words += [f"-n {n}"] if n is not None else []
        return " ".join([*words, *([f"--risk {self.risk:g}"] if self.risk is not None else [])])

    def review(self, at: Round) -> Review:
        """The last proposal on a round, with edits and rejections, if the evidence is still the same.

        Raises:
            ReviewError: Nothing of that risk was proposed yet, or trials came since.
        """
        from refine.space.literals import typed_pairs

        proposals = at._proposals
        if not proposals:
            raise ReviewError(
                f"round {at.id}: nothing was proposed on it yet; look first", Action("round.propose")
            )
        meant = [p for p in proposals if self.risk is None or p.risk == self.risk]
        if not meant:
            known = ", ".join(f"{p:g}" for p in sorted({p.risk for p in proposals}))
            raise ReviewError(
                f"round {at.id}: no proposal of risk {self.risk:g}, there are {known}; make it first",
                Action("round.propose", risk=self.risk),
            )
        review = at.review(meant[-1])  # looking changes nothing: the last proposal stays the last one
        review = review.edit(typed_pairs(self.edit, "--edit")) if self.edit else review
        return review.reject(*self.reject) if self.reject else review


@dataclass(frozen=True, kw_only=True)
class Child(Drawn):
    """How the next round draws its trials."""

    heading = "The next round"
    n: SizeOption = None
    audit: Annotated[
        float | None, Option(help="Share drawn outside the new space to test the claim; of accept 0.05.")
    ] = None
    author: AuthorOption = None


@command(DECIDE)
def propose(
    at: AtNewest,
    out: Explained,
    risk: RiskOption = 0.05,
    epsilon: EpsilonOption = None,
) -> None:
    """Propose bounds for the next round, and keep the proposal for a decision."""
    with at.round() as found:
        review = found.propose(risk, epsilon)
        if not out.as_json:
            out.put(review)
            return
        parts = {"next_step": review.next_step, "worth": review._worth, "options": review.options()}
        data = {name: None if part is None else part.to_json() for name, part in parts.items()}
        put_json({**data, **review.proposal.to_dict(), "page": review.page().to_dict()})


@command(DECIDE)
def options(at: AtNewest, out: Output) -> None:
    """Compare the proposals of more and less risk: values dropped, space kept, and risk of each."""
    with at.round() as found:
        listed = found.propose(keep=False).options()
        out.put(listed, Action("round.propose", risk=Symbol("RISK")))


@command(DECIDE)
def rehearse(
    at: AtNewest,
    out: Output,
    rounds: Annotated[int, Option("--rounds", min=1, max=20, help="How many rounds are planned.")] = 4,
    n: SizeOption = None,
    exploit: Annotated[float, Option(help="Share drawn where the optimum is plausible.")] = 0.5,
) -> None:
    """Print what a plan of rounds would bring, simulated before anything is run, beside others of the same cost."""
    with at.round() as found:
        out.put(found.propose(keep=False).rehearse(rounds, n, exploit=exploit))


@command(DECIDE)
def preview(
    at: AtNewest,
    out: Output,
    edits: Edits,
    n: SizeOption = None,
) -> None:
    """Print what accepting the last proposal would mean, with edits; decides nothing."""
    with at.round() as found:
        review = edits.review(found)
        seen = review.preview(n=n)
        accept = completed(f"refine accept STORE ROUND {edits.typed(n)}".rstrip())
        out.put(seen, accept, page=lambda: _of_which(review, seen.page()))


@command(DECIDE)
def accept(at: AtNewest, out: Output, edits: Edits, new: Child) -> None:
    """Accept the last proposal, with edits and rejections, and make the child round."""
    with at.round() as found:
        review = edits.review(found)
        child = review.accept(**new.options())
        _say_new(review.proposal.old, child, review.proposal.space)
        if at.which == "last":
            say("`last` is this round from now on.", err=True)
        out.put(chosen(child), page=lambda: _of_which(review, child.page()))


@command(DECIDE)
def decline(
    at: AtNewest,
    out: Output,
    note: NoteOption = "",
    author: AuthorOption = None,
    risk: WhichRiskOption = None,
) -> None:
    """Decline the last proposal."""
    with at.round() as found:
        review = Edits(risk=risk).review(found)
        review.decline(note, author=author)
        branch = Action("round.branch", Symbol("space"))
        out.put(found, branch, page=lambda: _of_which(review, found.page()))


@command(DECIDE)
def branch(
    at: AtNewest,
    out: Output,
    new: Child,
    edit: EditOption = None,
    space: Annotated[
        str | None, Option(help="A whole space instead: a .toml or .json file, or module:name.")
    ] = None,
    previous: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="Value that earlier trials had of an added parameter."),
    ] = None,
    seed: Annotated[int | None, Option(help="Default this round's.")] = None,
) -> None:
    """Make a child on another space, independent of any proposal; --edit may add parameters."""
    from refine.space.files import read_space
    from refine.space.literals import typed_pairs

    if (space is None) == (edit is None):
        raise ReviewError(
            "branch needs --edit, or a whole --space, and not both; for the same space with another seed give --edit and --seed"
        )
    with at.round() as found:
        changed = _changed(found, typed_pairs(edit or [], "--edit")) if space is None else read_space(space)
        before = typed_pairs(previous or [], "--previous") or None
        child = found.branch(changed, previous=before, seed=seed, **new.options())
        _say_new(found.space, child)
        out.put(chosen(child))


def _say_new(old: Space, child: Round, proposed: Space | None = None) -> None:
    """Names values of choices that the old space does not have, as a warning."""
    from refine.proposal.preview import new_values
    from refine.report.pages.reasons import sentence

    for value in new_values(old, child.space, proposed):
        say(f"warning: {shown(sentence(value))}", err=True)


def _changed(at: Round, edits: dict[str, Any]) -> Any:
    from refine.space.edits import edit_space
    from refine.space.space import Space

    inside = {n: v for n, v in edits.items() if n in at.space}
    added = {n: v for n, v in edits.items() if n not in at.space}
    return Space({**edit_space(at.space, at.space, inside), **added}, [str(c) for c in at.space.constraints])


def _of_which(review: Review, page: Page) -> Page:
    """A page, headed by which proposal it is about: there may be one for every risk."""
    about = Text(f"The proposal of risk {percent(review.proposal.risk)} on round {review.round.id}.", "faint")
    return replace(page, blocks=(about, *page.blocks))


@command(DECIDE)
def tag(
    at: AtRound,
    out: Output,
    label: Annotated[str, Argument(metavar="TAG", help="The name; one that exists moves.")],
) -> None:
    """Give a round a name."""
    with at.tree() as tree:
        found = chosen(tree[at.which])
        tree.tag(found, label)
        out.say(f"{line(label)}: round {found.id}", {"tag": label, "round": found.id})


@command(DECIDE)
def roles(
    at: AtRound,
    out: Output,
    given: Annotated[
        list[str] | None,
        Argument(metavar="NAME=ROLE...", help="scientific, nuisance or fixed."),
    ] = None,
) -> None:
    """Print or set the roles of a round's parameters: scientific, nuisance or fixed."""
    from refine.space.literals import typed_pairs

    with at.round() as found:
        if given:
            found.set_roles(typed_pairs(given, "roles"))
        rows = tuple((Cell(n, "strong"), role) for n, role in found.roles.items())
        page = Page(f"Roles in round {found.id}", (Grid(("parameter", "role"), rows),))
        out.put(found.roles, Action("round.checks"), page=lambda: page)


_TO = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={url}">
<title>refine</title>
<a href="{url}">The review page</a>
"""


@command(DECIDE)
def review(
    at: InTree,
    which: Annotated[
        str, Argument(metavar="ROUND", help=f"{ROUND_HELP} OTHER may stand in its place.")
    ] = "last",
    *,
    beside: Beside,
    called: Called,
    port: Annotated[int, Option(min=0, max=65535, help="Port on this machine; 0 for any that is free.")] = 0,
    open_: Annotated[bool, Option("--open/--no-open", help="Whether to open a browser.")] = True,
    risk: RiskOption = 0.05,
    behind: Annotated[
        str | None, Option(help="Origin of a reverse proxy that serves the page to a team.")
    ] = None,
    author_header: Annotated[
        str | None,
        Option(help="Header in which that proxy names who is signed in: the author of what they do."),
    ] = None,
) -> None:
    """Open the review page: densities, bounds to drag, a preview of the decision, and a button that runs a round. Ctrl-C ends it.

    With OTHER two studies are on one page: what each has found and keeps, where they agree, and the trials of both.
    """
    from refine.run.workers.temp_folder import own_folder
    from refine.ui.web.background import Background
    from refine.ui.web.server import Server, proxy_of
    from refine.ui.web.session import Session

    proxy = proxy_of(behind, author_header)
    with ExitStack() as stack:
        folder, tree = stack.enter_context(own_folder()), stack.enter_context(at.tree())
        try:
            found = tree[which]
        except NotFoundError:  # what names a round is one, whatever file is called so too
            a_store = "://" in which or which.endswith(".db") or Path(which).is_file()
            if beside.other is not None or not a_store:
                raise
            found, beside = tree["last"], replace(beside, other=which)
        second = stack.enter_context(beside.opened(tree, at.store))

        def session_of(shown: Round, background: Background, other: Session | None = None) -> Session:
            session = Session(shown, risk, background=stack.enter_context(closing(background)), other=other)
            # The analysis is made while the browser starts.
            threading.Thread(
                target=session.handle, args=({"type": "round", "round": shown.id},), daemon=True
            ).start()
            return session

        # What was typed runs rounds of the first study: the other one's may be other code under the same name.
        other = None if second is None else session_of(second["last"], Background())
        typed = Background(called.objective, called.command)
        server = Server(session_of(chosen(found), typed, other), port, proxy)
        say(f"{server.url}\nCtrl-C ends it")
        if open_:
            # The arguments of a browser's process are everybody's to read, and the address is the key.
            page = folder / "review.html"
            page.write_text(_TO.format(url=server.url), encoding="utf-8")
            threading.Timer(0.5, webbrowser.open, [page.as_uri()]).start()
        server.run()


@command(DECIDE)
def mcp(
    at: InTree,
    called: Called,
    agent: Annotated[str, Option(help="What the assistant is called; it signs as agent:NAME.")] = "assistant",
    budget: Annotated[int, Option(min=0, help="How many trials it may run.")] = 0,
    may_accept: Annotated[
        bool, Option("--may-accept", help="Whether it may decide; without it, it suggests.")
    ] = False,
    share: Annotated[
        float,
        Option(
            min=0,
            max=1,
            help="How much of the budget, and of a round, may be configurations that it chooses.",
        ),
    ] = 0.3,
    http: Annotated[
        int | None,
        Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve HTTP on 127.0.0.1 instead, for who has the token that is printed; 0 for any port that is free.",
        ),
    ] = None,
) -> None:
    """Serve the tree to an assistant by the Model Context Protocol, on standard input and output or on loopback HTTP.

    It looks, suggests edits with a reason, and runs trials within the budget, some of its own choice. Accepting stays with a person.
    """
    from refine.ui.assistant import Assistant
    from refine.ui.mcp import HttpServer, server_of

    with at.tree():
        pass  # what can't be opened is said before anything is served
    made = Assistant(at.tree, agent, budget, may_accept, share, called.on)
    if http is None:
        server_of(made).run("stdio")
        return
    server = HttpServer(made, http)
    say(f"{server.url}\nAuthorization: Bearer {server.token}\nCtrl-C ends it")
    server.run()


# What takes something out.


@dataclass(frozen=True, kw_only=True)
class Removal(Given):
    """What a removal is logged with, and whether it is asked for first."""

    yes: Annotated[bool, Option("--yes", "-y", help="Don't ask.")] = False
    note: NoteOption = ""
    author: AuthorOption = None

    def ask(self, question: str) -> dict[str, Any]:
        """What the log keeps; stops unless somebody says yes, and where nobody can be asked, only the option says it."""
        if not self.yes and not typer.confirm(question, err=True):
            say("nothing was changed", err=True)
            raise typer.Exit(NO)
        return self.options("yes")


@command(DECIDE)
def repair(
    at: InTree,
    out: Output,
    how: Removal,
    look: Annotated[bool, Option("--look", help="Only print what is damaged.")] = False,
) -> None:
    """Print what of a tree can't be read, and remove it; exit code 3 where something damaged stays."""
    with at.tree() as tree:
        damage = tree.damage()
        if damage.rows and not look:
            if not (how.yes or out.as_json):
                out.put(damage)
            damage = tree.repair(**how.ask(f"Remove {len(damage.rows):,} damaged rows for good?"))
        stays = damage.rows and not damage.removed
        out.put(damage)
        if stays:
            raise typer.Exit(NO)


_TRIAL = "by its row of the table from 0. Can be given several times."


@command(DECIDE)
def delete(
    at: AtRound,
    out: Output,
    how: Removal,
    state: Annotated[
        list[str] | None,
        Option("--state", help="Only trials in this state, such as failed. Can be given several times."),
    ] = None,
    trial: Annotated[list[int] | None, Option("--trial", help=f"Only this trial, {_TRIAL}")] = None,
    below: Annotated[bool, Option("--below", help="The rounds that came from it too.")] = False,
) -> None:
    """Remove a round, or some of its trials, for good; the log keeps that it was done."""
    from refine.run.options import check_rerun

    with at.tree() as tree:
        found = chosen(tree[at.which])
        if state or trial:
            if below:
                raise ReviewError("--below is for whole rounds, got --state or --trial as well; leave it out")
            rows = found.trials["state"].isin(check_rerun(state or [])).to_numpy()
            numbers = [i for i, inside in enumerate(rows) if inside] + (trial or [])
            signed = how.ask(f"Remove {plural(len(set(numbers)), 'trial')} of round {found.id} for good?")
            _said(out, found, "trials", "removed", tree.delete_trials(found, numbers, **signed))
        else:
            signed = how.ask(f"Remove round {found.id} with {plural(len(found.trials), 'trial')} for good?")
            gone = tree.delete_round(found, below=below, **signed)
            out.say(f"removed: {', '.join(gone)}", {"rounds": gone})


TrialsOption = Annotated[list[int], Option("--trial", help=f"A trial, {_TRIAL}")]
ReasonOption = Annotated[str, Option("--reason", help="Why; reports and the log show it.")]


@command(DECIDE)
def exclude(
    at: AtRound, out: Output, trial: TrialsOption, reason: ReasonOption, author: AuthorOption = None
) -> None:
    """Leave trials out of every analysis, such as those of a broken machine; they stay in the store."""
    with at.round() as found:
        _said(out, found, "excluded", "excluded", found.exclude(trial, reason, author=author))


@command(DECIDE)
def include(
    at: AtRound, out: Output, trial: TrialsOption, reason: ReasonOption = "", author: AuthorOption = None
) -> None:
    """Take back that trials were excluded."""
    with at.round() as found:
        _said(out, found, "included", "included", found.include(trial, reason, author=author))


def _said(out: Output, found: Round, key: str, what: str, count: int) -> None:
    out.say(f"round {found.id}: {plural(count, 'trial')} {what}", {"round": found.id, key: count})


@command(DECIDE)
def unlock(at: AtRound, out: Output, how: Removal) -> None:
    """Let a round be run that a process of another machine holds which is gone."""
    with at.tree() as tree:
        found = chosen(tree[at.which])
        held = tree.unlock(found, **how.ask(f"Is whoever runs round {found.id} gone for certain?"))
        now = "unlocked" if held else "nobody held it"
        out.say(f"round {found.id}: {now}", {"round": found.id, "unlocked": held})
