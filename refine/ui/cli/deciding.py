"""Commands that decide: propose, preview, accept, decline, branch, tag, roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from refine.ui.cli.completion import complete_parameters
from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    DECIDE,
    AllOption,
    AuthorOption,
    BeliefOption,
    JsonOption,
    NoteOption,
    RoundArgument,
    StoreArgument,
    TreeOption,
    WhyOption,
    app,
    chosen,
    put,
    put_json,
    show,
    typed,
)
from refine.ui.cli.spelling import in_shell
from refine.utils.action import Action
from refine.utils.format import percent

if TYPE_CHECKING:
    from refine.proposal.proposal import Proposal
    from refine.review.review import Review
    from refine.space.space import Space
    from refine.tree.round import Round
    from refine.utils.display import Page

EditOption = Annotated[
    list[str] | None,
    typer.Option(
        "--edit",
        "-e",
        metavar="NAME=VALUE",
        help="Set a parameter: 'dropout=(0, 0.2)', 'units=[8, 16]', optimizer=Adam. Can be given several times.",
        autocompletion=complete_parameters,
    ),
]
RejectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reject", "-r", metavar="NAME", help="Leave a parameter as it is now. Can be given several times."
    ),
]
SizeOption = Annotated[int | None, typer.Option("-n", "--n", help="Configurations of the next round.")]
DownsampleOption = Annotated[float | None, typer.Option(help="The same as a share of what is left.")]
ExploitOption = Annotated[
    float, typer.Option(help="Share of exploit trials, drawn where the optimum is plausible.")
]
DesignOption = Annotated[
    str | None, typer.Option(help="sobol, uniform, tpe, gp, cmaes or qmc; default this round's.")
]
PrunerOption = Annotated[str | None, typer.Option(help="median stops trials that are behind; default none.")]
RiskOption = Annotated[float, typer.Option(help="Accepted probability of losing the best value.")]
WhichRiskOption = Annotated[
    float | None,
    typer.Option("--risk", help="Which of the proposals, by its risk; default the one proposed last."),
]
EpsilonOption = Annotated[
    float | None,
    typer.Option(help="Loss that counts as none; default what was said of the round, else its noise."),
]


@app.command(rich_help_panel=DECIDE)
def propose(
    store: StoreArgument,
    which: RoundArgument,
    risk: RiskOption = 0.05,
    epsilon: EpsilonOption = None,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose bounds for the next round, and keep the proposal for a decision."""
    with opened(store, name) as found:
        at = chosen(found[which])
        review = at.propose(risk, epsilon)
        if as_json:
            step, menu = review.next_step.to_json(), review.options().to_json()
            worth = None if review._worth is None else review._worth.to_json()
            said = {**review.proposal.to_dict(), "page": review.page().to_dict()}
            put_json({"next_step": step, "worth": worth, **said, "options": menu})
            return
        edit = _example(review.proposal)
        changes = any(c.kind != "keep" for c in review.proposal.changes)
        first = typed(store, "accept", at) if changes else in_shell(review.next_step.action)
        more = [typed(store, "preview", at, edit)] if edit else []
        put(review, False, first, *more, typed(store, "checks", at), why=why, whole=whole)


def _example(proposal: Proposal) -> str:
    """An edit as one types it: what is proposed for the first parameter that changes; empty where none does."""
    import shlex

    from refine.space.literals import shell_text

    changed = next((c for c in proposal.changes if c.kind != "keep"), None)
    return "" if changed is None else f"--edit {shlex.quote(f'{changed.name}={shell_text(changed.new)}')}"


@app.command(rich_help_panel=DECIDE)
def rehearse(
    store: StoreArgument,
    which: RoundArgument,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=20, help="How many rounds are planned.")] = 4,
    n: SizeOption = None,
    exploit: ExploitOption = 0.5,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a plan of rounds would bring, simulated before anything is run, beside others of the same cost."""
    from dataclasses import replace

    with opened(store, name) as found:
        seen = chosen(found[which]).rehearse(rounds, n, exploit=exploit)
        if as_json:
            put_json(seen.to_json())
            return
        page = replace(seen.page(), calls=())
        show(
            page,
            typed(store, "accept", chosen(found[which]), f"--n {seen.plans[0].n} --exploit {exploit:g}"),
        )


@app.command(rich_help_panel=DECIDE)
def preview(
    store: StoreArgument,
    which: RoundArgument,
    edit: EditOption = None,
    reject: RejectOption = None,
    n: SizeOption = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, help="How many trials would run at a time.")
    ] = 1,
    risk: WhichRiskOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what accepting the last proposal would mean, with edits; decides nothing."""
    with opened(store, name) as found:
        review = _review(chosen(found[which]), edit, reject, risk)
        seen = review.preview(n=n, workers=workers)
        if as_json:
            from refine.utils.plain import plain

            put_json({**seen.to_dict(), "warning": plain(seen.warning)})
            return
        again = _repeated(edit, reject, n, risk)
        show(_of_which(review, seen.page()), typed(store, "accept", chosen(found[which]), " ".join(again)))


@app.command(rich_help_panel=DECIDE)
def accept(
    store: StoreArgument,
    which: RoundArgument,
    edit: EditOption = None,
    reject: RejectOption = None,
    note: NoteOption = "",
    n: SizeOption = None,
    downsample: DownsampleOption = None,
    exploit: ExploitOption = 0.0,
    belief: BeliefOption = None,
    audit: Annotated[
        float, typer.Option(help="Share of audit trials, drawn outside the new space to test the claim.")
    ] = 0.05,
    design: DesignOption = None,
    pruner: PrunerOption = None,
    author: AuthorOption = None,
    risk: WhichRiskOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept the last proposal, with edits and rejections, and make the child round."""
    with opened(store, name) as found:
        review = _review(chosen(found[which]), edit, reject, risk)
        child = review.accept(
            note,
            n=n,
            downsample=downsample,
            exploit=exploit,
            audit=audit,
            belief=_belief(belief),
            design=design,
            pruner=pruner,
            author=author,
        )
        _say_new(review.proposal.old, child, review.proposal.space)
        after = typed(store, "run", child, "--workers 2")
        put(child, as_json, after, page=lambda: _of_which(review, _now_last(which, child.page())))


@app.command(rich_help_panel=DECIDE)
def decline(
    store: StoreArgument,
    which: RoundArgument,
    note: NoteOption = "",
    author: AuthorOption = None,
    risk: WhichRiskOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decline the last proposal."""
    with opened(store, name) as found:
        at = chosen(found[which])
        review = _review(at, None, None, risk)
        review.decline(note, author=author)
        edit = _example(review.proposal)
        after = [typed(store, "branch", at, edit)] if edit else []
        put(at, as_json, *after, page=lambda: _of_which(review, at.page()))


@app.command(rich_help_panel=DECIDE)
def branch(
    store: StoreArgument,
    which: RoundArgument,
    edit: EditOption = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave a parameter out. Can be given several times."),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="A whole space instead: a .toml or .json file, or module:name.")
    ] = None,
    previous: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Value that earlier trials had of an added parameter."),
    ] = None,
    note: NoteOption = "",
    n: SizeOption = None,
    downsample: DownsampleOption = None,
    seed: Annotated[int | None, typer.Option(help="Default this round's.")] = None,
    exploit: ExploitOption = 0.0,
    belief: BeliefOption = None,
    audit: Annotated[
        float, typer.Option(help="Share of audit trials, drawn outside the new space to test the claim.")
    ] = 0.0,
    design: DesignOption = None,
    pruner: PrunerOption = None,
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a child on another space, independent of any proposal; --edit may add parameters."""
    from refine.errors import ReviewError
    from refine.space.literals import typed_pairs

    if space is None and not edit and not drop:
        raise ReviewError(
            "branch needs --edit, --drop or --space; for the same space with another seed give --edit and --seed"
        )
    if space is not None and (edit or drop):
        raise ReviewError("branch takes a whole --space, or --edit and --drop, got both")
    with opened(store, name) as found:
        at = chosen(found[which])
        if space is not None:
            from refine.space.files import read_space

            new: Any = read_space(space)
        else:
            new = _changed(at, typed_pairs(edit or [], "--edit"), drop or [])
        child = at.branch(
            new,
            note=note,
            previous=typed_pairs(previous or [], "--previous") or None,
            n=n,
            downsample=downsample,
            seed=seed,
            exploit=exploit,
            audit=audit,
            belief=_belief(belief),
            design=design,
            pruner=pruner,
            author=author,
        )
        _say_new(at.space, child)
        put(child, as_json, typed(store, "run", child, "--workers 2"))


def _belief(typed: list[str] | None) -> dict[str, Any] | None:
    """What is believed from here on; ``None`` where what was believed before goes on."""
    from refine.space.belief import typed_belief

    return typed_belief(typed, "--belief") if typed else None


def _say_new(old: Space, child: Round, proposed: Space | None = None) -> None:
    """Names values of choices that the old space does not have, as a warning."""
    from refine.errors import shown
    from refine.proposal.preview import new_values
    from refine.report.pages.reasons import sentence

    for value in new_values(old, child.space, proposed):
        typer.echo(f"warning: {shown(sentence(value))}", err=True)


def _changed(at: Round, edits: dict[str, Any], drop: list[str]) -> Any:
    from refine.errors import ReviewError, did_you_mean
    from refine.space.edits import edit_space
    from refine.space.space import Space

    for name in drop:
        if name not in at.space:
            raise ReviewError(f"--drop: unknown parameter {name!r}; {did_you_mean(name, at.space)}")
    inside = {n: v for n, v in edits.items() if n in at.space}
    added = {n: v for n, v in edits.items() if n not in at.space}
    changed = edit_space(at.space, at.space, inside)
    rest = {n: p for n, p in changed.items() if n not in drop}
    return Space({**rest, **added}, [str(c) for c in at.space.constraints])


@app.command(rich_help_panel=DECIDE)
def tag(
    store: StoreArgument,
    which: RoundArgument,
    label: Annotated[str, typer.Argument(metavar="TAG", help="The name; one that exists moves.")],
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a round a name."""
    from refine.utils.display import line

    with opened(store, name) as found:
        at = chosen(found[which])
        found.tag(at, label)
        if as_json:
            put_json({"tag": label, "round": at.id})
        else:
            typer.echo(f"{line(label)}: round {at.id}")


@app.command(rich_help_panel=DECIDE)
def roles(
    store: StoreArgument,
    which: RoundArgument,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=ROLE...", help="scientific, nuisance or fixed.", autocompletion=complete_parameters
        ),
    ] = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print or set the roles of a round's parameters: scientific, nuisance or fixed."""
    from refine.space.literals import typed_pairs
    from refine.utils.display import Cell, Grid, Page

    with opened(store, name) as found:
        at = chosen(found[which])
        if given:
            at.set_roles(typed_pairs(given, "roles"))
        rows = tuple((Cell(n, "strong"), role) for n, role in at.roles.items())
        page = Page(f"Roles in round {at.id}", (Grid(("parameter", "role"), rows),))
        put(at.roles, as_json, typed(store, "checks", at), page=lambda: page)


def _review(at: Round, edit: list[str] | None, reject: list[str] | None, risk: float | None) -> Review:
    """The last proposal on a round, with edits and rejections, if the evidence is still the same.

    Args:
        at: The round.
        edit: Edits as typed.
        reject: Names as typed.
        risk: Of which risk; default of whichever was proposed last.

    Raises:
        ReviewError: Nothing of that risk was proposed yet, or trials came since.
    """
    from refine.errors import ReviewError
    from refine.space.literals import typed_pairs

    proposals = at._proposals
    if not proposals:
        raise ReviewError(
            f"round {at.id}: nothing was proposed on it yet; look first", Action("round.propose")
        )
    meant = [p for p in proposals if risk is None or p.risk == risk]
    if not meant:
        known = ", ".join(f"{p:g}" for p in sorted({p.risk for p in proposals}))
        raise ReviewError(
            f"round {at.id}: no proposal of risk {risk:g}, there are {known}; make it first",
            Action("round.propose", risk=risk),
        )
    review = at.review(meant[-1])  # looking changes nothing: the last proposal stays the last one
    review = review.edit(typed_pairs(edit, "--edit")) if edit else review
    return review.reject(*reject) if reject else review


def _now_last(which: str, page: Page) -> Page:
    """A child's page that says so where the name that was typed means the child from now on."""
    from dataclasses import replace

    from refine.utils.display import Text

    return (
        replace(page, blocks=(Text("`last` is this round from now on."), *page.blocks))
        if which == "last"
        else page
    )


def _of_which(review: Review, page: Page) -> Page:
    """A page, headed by which proposal it is about: there may be one for every risk."""
    from dataclasses import replace

    from refine.utils.display import Text

    about = Text(f"The proposal of risk {percent(review.proposal.risk)} on round {review.round.id}.", "faint")
    return replace(page, blocks=(about, *page.blocks))


def _repeated(
    edit: list[str] | None, reject: list[str] | None, n: int | None, risk: float | None
) -> list[str]:
    """Options as they were typed."""
    import shlex

    told = [f"--edit {shlex.quote(e)}" for e in edit or []]
    told += [f"--reject {shlex.quote(r)}" for r in reject or []]
    told += [f"-n {n}"] if n is not None else []
    return [*told, *([f"--risk {risk:g}"] if risk is not None else [])]
