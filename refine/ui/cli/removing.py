"""Commands that take something out: repair, delete and unlock for good, which ask before they do; exclude from analyses."""

from __future__ import annotations

from typing import Annotated

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    DECIDE,
    NO,
    AuthorOption,
    JsonOption,
    NoteOption,
    RoundArgument,
    StoreArgument,
    TreeOption,
    app,
    chosen,
    put,
    put_json,
)

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@app.command(rich_help_panel=DECIDE)
def repair(
    store: StoreArgument,
    look: Annotated[bool, typer.Option("--look", help="Only print what is damaged.")] = False,
    yes: YesOption = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what of a tree can't be read, and remove it; exit code 3 where something damaged stays."""
    import shlex

    from refine.utils.plain import plain

    with opened(store, name) as found:
        damage = found.damage()
        if damage.rows and not look:
            if not (yes or as_json):
                put(damage, as_json=False)
            _ask(f"Remove {len(damage.rows):,} damaged rows for good?", yes)
            damage = found.repair(note=note, author=author)
        if as_json:
            put_json({"removed": damage.removed, "rows": [plain(row) for row in damage.rows]})
        else:
            stays = damage.rows and not damage.removed
            put(damage, False, *([f"refine repair {shlex.quote(store)}"] if stays else []))
        if damage.rows and not damage.removed:
            raise typer.Exit(NO)


@app.command(rich_help_panel=DECIDE)
def delete(
    store: StoreArgument,
    which: RoundArgument,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="Only trials in this state, such as failed. Can be given several times."
        ),
    ] = None,
    trial: Annotated[
        list[int] | None,
        typer.Option(
            "--trial", help="Only this trial, by its row of the table from 0. Can be given several times."
        ),
    ] = None,
    below: Annotated[bool, typer.Option("--below", help="The rounds that came from it too.")] = False,
    yes: YesOption = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a round, or some of its trials, for good; the log keeps that it was done."""
    from refine.errors import ReviewError
    from refine.run.options import check_rerun
    from refine.utils.format import plural

    with opened(store, name) as found:
        at = chosen(found[which])
        if state or trial:
            if below:
                raise ReviewError("--below is for whole rounds, got --state or --trial as well; leave it out")
            rows = at.trials["state"].isin(check_rerun(state or [])).to_numpy()
            numbers = [i for i, chosen in enumerate(rows) if chosen] + (trial or [])
            _ask(f"Remove {plural(len(set(numbers)), 'trial')} of round {at.id} for good?", yes)
            count = found.delete_trials(at, numbers, note=note, author=author)
            told, data = f"round {at.id}: {plural(count, 'trial')} removed", {"round": at.id, "trials": count}
        else:
            _ask(f"Remove round {at.id} with {plural(len(at.trials), 'trial')} for good?", yes)
            gone = found.delete_round(at, below=below, note=note, author=author)
            told, data = f"removed: {', '.join(gone)}", {"rounds": gone}
        if as_json:
            put_json(data)
        else:
            typer.echo(told)


TrialsOption = Annotated[
    list[int],
    typer.Option("--trial", help="A trial, by its row of the table from 0. Can be given several times."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; reports and the log show it.")]


@app.command(rich_help_panel=DECIDE)
def exclude(
    store: StoreArgument,
    which: RoundArgument,
    trial: TrialsOption,
    reason: ReasonOption,
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave trials out of every analysis, such as those of a broken machine; they stay in the store."""
    with opened(store, name) as found:
        at = chosen(found[which])
        _said(at.id, at.exclude(trial, reason, author=author), "excluded", as_json)


@app.command(rich_help_panel=DECIDE)
def include(
    store: StoreArgument,
    which: RoundArgument,
    trial: TrialsOption,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back that trials were excluded."""
    with opened(store, name) as found:
        at = chosen(found[which])
        _said(at.id, at.include(trial, reason, author=author), "included", as_json)


def _said(round_id: str, count: int, what: str, as_json: bool) -> None:
    from refine.utils.format import plural

    if as_json:
        put_json({"round": round_id, what: count})
    else:
        typer.echo(f"round {round_id}: {plural(count, 'trial')} {what}")


@app.command(rich_help_panel=DECIDE)
def unlock(
    store: StoreArgument,
    which: RoundArgument,
    yes: YesOption = False,
    note: NoteOption = "",
    author: AuthorOption = None,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a round be run that a process of another machine holds which is gone."""
    with opened(store, name) as found:
        at = chosen(found[which])
        _ask(f"Is whoever runs round {at.id} gone for certain?", yes)
        held = found.unlock(at, note=note, author=author)
        if as_json:
            put_json({"round": at.id, "unlocked": held})
        else:
            typer.echo(f"round {at.id}: {'unlocked' if held else 'nobody held it'}")


def _ask(question: str, yes: bool) -> None:
    """Stops unless somebody says yes; where nobody can be asked, only the option says it."""
    if not yes and not typer.confirm(question, err=True):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(NO)
