"""Content of the review page as plain data: the texts of the views, and numbers to draw.

The page composes no sentence on results: texts come from the views of :mod:`refine.report.pages`, as in
``print``. The front end formats no number and takes no statistical decision.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.evidence import ParameterEvidence
from refine.analysis.finding import MATTERS
from refine.analysis.levels import level_shares
from refine.analysis.selection import other_trials
from refine.errors import ReviewError, did_you_mean
from refine.report.figures.canvas import svg
from refine.report.glossary import meanings, terms
from refine.report.pages.analysis import VERDICTS, best_clause, best_value_text, coupled_pairs, share_text
from refine.report.pages.checks import (
    failed_text,
    figure,
    gravest_first,
    passed_text,
    question,
    says,
)
from refine.report.pages.headline import headline_of
from refine.report.pages.preview import options_page, preview_page, too_many_text
from refine.report.pages.proposal import ChangeView, evidence_numbers
from refine.report.pages.reasons import upper
from refine.report.pages.review import (
    chance_text,
    change_views,
    followed_sentence,
    notes_on_edits,
    nothing_facts,
    risk_facts,
    short_facts,
    standing_facts,
    suggestions_grid,
)
from refine.report.pages.space import beats_sentence, comparison_page, front_text
from refine.report.plots import Plots
from refine.review.review import advised_outlook, advised_round_of, budget_of, next_step, suggestions_of
from refine.space.edits import bounds_text
from refine.space.encoding import label
from refine.space.literals import page_form
from refine.space.parameters import Parameter, Range
from refine.tree.comparison import difference as rounds_difference
from refine.tree.overview import beaten
from refine.trials.frame import infeasible_rows, metric_title
from refine.ui.web.drawing import densities, proposed_content, range_content, values_view
from refine.ui.web.messages import Content, Message
from refine.ui.web.outcomes import step_content
from refine.utils.action import Action
from refine.utils.display import Cell, Grid, Items, Text, as_cell
from refine.utils.format import duration, plural, score
from refine.utils.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.proposal.options import Options
    from refine.proposal.preview import Preview
    from refine.review.checks import Checks
    from refine.review.next_step import NextRound, NextStep
    from refine.review.review import Review
    from refine.review.worth import Worth
    from refine.tree.round import Round
    from refine.utils.display import Page

# Sign of "at most" on the page.
AT_MOST = "\N{LESS-THAN OR EQUAL TO}"


def review_content(review: Review[Round]) -> Content:
    """A round under review, without edits: panels by parameter, proposals by risk, checks."""
    view = review._page()
    options = review.options()
    analysis = review.proposal.analysis
    proposal = review.proposal
    claim = proposal.claim
    views = change_views(review)
    names = [e.name for e in analysis.parameters]
    n_others = len(other_trials(analysis).observed)
    return {
        "proposal": proposal.digest,
        "best": upper(best_clause(analysis)),
        "best_value": best_value_text(analysis),
        "facts": _facts([*_uncut_facts(review), *standing_facts(review)]),
        "first_call": str(view.calls[0]),
        "plan": plan_content(advised_round_of(review)),
        "outlook": outlook_content(review, advised_round_of(review), advised_outlook(review)),
        "claim": " ".join([*view.texts("claim"), *view.texts("next")]),
        "risk": proposal.risk,
        "epsilon": plain(claim.epsilon),
        "epsilon_given": plain(claim.epsilon) if claim.epsilon_source == "given" else None,
        "epsilon_text": score(claim.epsilon),
        "options": options_content(options),
        "option": options.rows.index(options.now),
        "constraints": [str(c) for c in proposal.evidence.subject_to],
        "trials": len(analysis.table) + n_others,
        "others": n_others,
        "view": values_view(analysis, review.round._node.allow_degenerate),
        "panels": [
            panel(
                analysis,
                e,
                views[e.name],
                _evidence_text(view, views[e.name]),
                [option.space[e.name] for option in options.rows],
            )
            for e in analysis.ranked
        ],
        "fixed": [{"name": n, "value": bounds_text(p)} for n, p in analysis.space.items() if p.fixed],
        "pairs": [{"a": names[pair.i], "b": names[pair.j]} for pair in coupled_pairs(analysis)],
        **_checks_content(review.checks()),
    }


def _uncut_facts(review: Review) -> list[tuple[str, Cell]]:
    """The cut at a larger risk, without the call."""
    return [
        (name, Cell(f"{as_cell(fact).text.removesuffix(':').removesuffix('.')}."))
        for name, fact in nothing_facts(review)
    ]


def _evidence_text(page: Page, view: ChangeView) -> str:
    """The paragraphs about a parameter, with the advised calls; the card draws the levels itself."""
    folds = [fold for fold in page.folds if fold.about == view.change.name and fold != view.fold]
    paragraphs = [block for fold in folds for block in fold.blocks if isinstance(block, Text)]
    return " ".join([*view.texts, *(f"{block.text} {block.call or ''}".strip() for block in paragraphs)])


def _checks_content(checks: Checks) -> Content:
    """The checks in the order of the printed page, with the figures to draw."""
    content = []
    for check in gravest_first(checks):
        picture = None
        if check.picture:
            picture = {"name": check.picture, "about": [check.about] if check.about else []}
        content.append(
            {
                "key": check.key,
                "question": question(check),
                "verdict": check.verdict,
                "number": figure(check),
                "says": says(check),
                "call": "" if check.call is None else str(check.call),
                "picture": picture,
            }
        )
    concerns = failed_text(checks)
    return {"failed": concerns, "checks_text": passed_text(checks), "checks": content}


def decision_content(review: Review) -> Content:
    """The facts on the risk of accepting a review, and the tiles with risk, top trials and blind spot."""
    tiles = [
        {
            "about": fact.about,
            "name": fact.name,
            "number": fact.number.replace("<=", AT_MOST),
            "text": fact.text,
            "full": fact.full.text,
            "tone": fact.full.tone.replace("good", ""),
        }
        for fact in short_facts(review)
    ]
    return {
        "tiles": tiles,
        "chance": chance_text(review).replace("<=", AT_MOST),
        "risks": _facts(risk_facts(review)),
    }


def plan_content(planned: NextRound) -> Content:
    """Size and shares of the next round; shares also as percentages for the form."""
    return {
        "n": planned.n,
        "exploit": planned.exploit,
        "audit": planned.audit,
        "percent": {name: f"{100 * getattr(planned, name):.6g}" for name in ("exploit", "audit")},
    }


def outlook_key(review: Review, planned: NextRound) -> str:
    """Key of a recommendation, from space and plan: the page shows only the recommendation for its edits."""
    return f"{review.space.digest} {planned.n} {planned.exploit:.6g} {planned.audit:.6g}"


def outlook_content(review: Review, planned: NextRound, worth: Worth | None) -> Content:
    """The headline on a planned round, with the verdict, and the call or the button that takes the step."""
    headline = headline_of(review, planned, worth)
    return {
        "key": outlook_key(review, planned),
        "verdict": "" if worth is None else worth.verdict,
        "text": headline.text,
        "reason": headline.reason,
        "call": str(headline.action),
        "step": _button(headline.action, next_step(review)),
    }


def _facts(facts: Iterable[tuple[str, str | Cell]]) -> list[dict[str, str]]:
    """Facts of a view with their texts, tones and calls."""
    cells = [(name, as_cell(fact)) for name, fact in facts]
    return [
        {"name": name, "text": cell.text, "tone": cell.tone, "call": str(cell.call or "")}
        for name, cell in cells
    ]


def _button(action: Action, step: NextStep) -> Content:
    """The button of a call, with its numbers and label; empty if no button can make the call."""
    options = action.options
    if action.name == "review.accept":
        return {"do": "accept"}
    if action.name == "round.run":
        n = int(options["n"])
        if step.n < 1:  # a run has begun these trials meanwhile
            return {"do": ""}
        title = f"Extends this round to {plural(n, 'configuration')} and runs them in the background"
        return {"do": "run", "n": n, "label": f"run {step.n:,} more", "title": title}
    if action.name == "round.add":
        top = int(options["repeat"])
        seeds = int(options["seeds"])
        title = f"{terms()['Replicate'].plain} Runs the best {top} {seeds} times each, in the background."
        label_ = f"repeat the best {top}"
        return {"do": "repeat", "repeat": top, "seeds": seeds, "label": label_, "title": title}
    return step_content(action)


# Form of a suggested edit that bounds or levels cannot express.
SUGGESTED = "suggested"


def suggestions_content(review: Review[Round]) -> list[Content]:
    """The suggestions of people and programs, with the edits that adopt them."""
    if not suggestions_of(review):
        return []
    content = []
    proposal_row, *rows = suggestions_grid(review).rows
    for suggestion, row in zip(suggestions_of(review), rows, strict=True):
        decision = suggestion.decision
        edits = {}
        for name, (proposed, suggested) in suggestion.differs.items():
            form = page_form(review.proposal.old[name], suggested, proposed)
            if "as" in form:
                form = {**form, "as": SUGGESTED, "of": decision.digest}
            edits[name] = form
        _, _, change, share, risk, _ = row
        _, _, _, proposed_share, proposed_risk, _ = proposal_row
        text = (
            f"{change}: keeps {share}, risk {risk} (proposed: keeps {proposed_share}, risk {proposed_risk})"
        )
        content.append({"by": decision.author, "why": decision.note, "text": text, "edits": edits})
    return content


def options_content(options: Options) -> list[Content]:
    """The proposals by risk, named as in their table; equal proposals of several risks are one."""
    grid = next(block for block in options_page(options).blocks if isinstance(block, Grid))
    content = []
    for option, row in zip(options.rows, grid.rows, strict=True):
        risk, dropped = (as_cell(value).text for value in row[:2])
        proposed = {name: proposed_content(option.old[name], option.space[name]) for name in option.old}
        content.append(
            {
                "risk": option.risk,
                "up_to": option.up_to,
                "name": risk,
                "leaves": dropped,
                "text": f"{risk}; drops {dropped}",
                "proposed": proposed,
            }
        )
    return content


def page_terms() -> dict[str, str]:
    """Meanings of the words on the page, from the glossary."""
    words = {
        "risk": "Risk",
        "epsilon": "Tolerance",
        "best": "Top trials",
        "checks": "Check",
        "coupled": "Coupled",
        "exploit": "Exploit trial",
        "audit": "Audit trial",
        "claim": "Claim",
        "space_filling": "Space-filling trial",
    }
    return {word: terms()[name].plain for word, name in words.items()}


def panel(
    analysis: Analysis,
    e: ParameterEvidence,
    view: ChangeView,
    reason: str,
    listed: Sequence[Parameter] = (),
) -> Content:
    """One parameter: axis, proposed change with reasons, and density of the good trials.

    Args:
        analysis: Analysis of the round.
        e: Evidence on the parameter.
        view: View of the proposed change.
        reason: Evidence on the parameter.
        listed: The parameter in proposals of other risks: the page can show their bounds too.
    """
    p = e.parameter
    change = view.change
    summary = "Why it is unchanged"
    if change.kind != "keep":
        summary = f"Reason: {as_cell(view.row[3]).text}"
    content: Content = {
        "name": e.name,
        "badge": _badge(analysis, view),
        "change": "keep" if change.kind == "leave" else change.kind,
        "unused": change.kind == "leave",
        "summary": summary,
        "reason": reason,
        "numbers": [
            {"name": label, "text": text.replace("<=", AT_MOST), "note": note}
            for label, text, note in evidence_numbers(change)
        ],
        "now": bounds_text(p),
        "when": "" if p.when is None else f"only where {p.when}",
    }
    if isinstance(p, Range):
        return {
            **content,
            **range_content(e.name, p, change.new, listed),
            "density": densities(analysis, e.name),
        }
    levels = [
        {
            "label": v.label,
            "share": s.everyone,
            "good": s.good if math.isfinite(s.good) else 0.0,
            "text": share_text(v.label, s, tested=analysis.tested),
        }
        for v, s in zip(e.levels, level_shares(analysis, e.name), strict=True)
    ]
    return {**content, "kind": "choice", "levels": levels, "proposed": proposed_content(p, change.new)}


def _badge(analysis: Analysis, view: ChangeView) -> dict[str, str]:
    """The pill of a card: the risk of a change; for unchanged parameters without an effect the verdict."""
    if view.change.kind not in ("keep", "leave"):
        cell = as_cell(view.row[4])
        return {"text": cell.text, "tone": cell.tone, "title": terms()["Risk"].plain}
    verdict = analysis.findings[view.change.name].verdict
    words = VERDICTS[verdict]
    if verdict == MATTERS:
        return {"text": "", "tone": words.tone, "title": ""}
    return {"text": words.text, "tone": words.tone, "title": meanings("Verdict")[words.text]}


def preview_content(review: Review, preview: Preview, asked_n: int | None) -> Content:
    """The consequences of accepting, worded as on the preview's page.

    Args:
        review: The review with its edits.
        preview: The preview.
        asked_n: Configurations that the person asked for; ``None`` if the page decides.
    """
    page = preview_page(preview)
    (space,) = (block for fold in page.folds for block in fold.blocks if isinstance(block, Items))
    # The review's own facts state risk and top trials.
    facts: list[tuple[str, str | Cell]] = [row for row in page.facts if row[0] not in ("Kept", "Risk")]
    facts.append(("Space", " ".join(as_cell(item).text for item in space.items)))
    notes = [cell.text for cell in notes_on_edits(review)]
    unpaid = _unpaid_text(review, asked_n)
    warnings = [unpaid, too_many_text(preview, asked_n), *notes, followed_sentence(review)]
    return {
        "n": preview.n,
        "left": preview.left,
        "takes": "" if not preview.seconds >= 1 else f"about {duration(preview.seconds)}",
        "facts": _facts(facts),
        "refused": unpaid != "" or preview.left == 0 or (asked_n is not None and asked_n > preview.left),
        "warning": " ".join(filter(None, warnings)),
    }


def _unpaid_text(review: Review, asked_n: int | None) -> str:
    """The reason why the budget does not pay the next round, if any."""
    trials_left = budget_of(review).left
    if trials_left == 0 or (asked_n is None and not advised_round_of(review).n):
        return "The budget leaves no trial for another round."
    if trials_left is not None and asked_n is not None and asked_n > trials_left:
        return f"The budget has {plural(trials_left, 'trial')} left: ask for fewer."
    return ""


# The front of several goals.

# Largest number of drawn trials that are not on the front.
_OTHERS = 2000


def front_content(round_: Round) -> Content:
    """The front of a round with two or three goals.

    Raises:
        ReviewError: The round has one goal.
    """
    if len(round_._goals) == 1:
        raise ReviewError(
            f"a front needs two or three goals, round {round_.id} has one; for its best configuration",
            Action("tree.winner"),
        )
    names = list(round_.space)
    trials = round_.trials
    best = round_.front
    titles = ["value", *(metric_title(goal.metric.name, names) for goal in round_._goals[1:])]
    if not all(title in trials for title in titles):  # nothing has ended yet
        trials = trials[:0].reindex(columns=list(dict.fromkeys([*trials.columns, *titles])))
    values = np.asarray(trials[titles], dtype=float)
    finite = np.isfinite(values).all(axis=1)
    broken = infeasible_rows(trials)
    goals = [
        {"name": str(goal.metric), "direction": "maximize" if goal.sign > 0 else "minimize"}
        for goal in round_._goals
    ]
    off_front = np.flatnonzero(finite & ~broken & ~trials.index.isin(best.index))
    shown = off_front[:: max(1, -(-len(off_front) // _OTHERS))]
    texts = [front_text(len(best))]
    if lost := beaten(round_._at_once()):
        texts.append(f"Trials of other rounds beat {lost:,} of them.")
    if n_broken := int((finite & broken).sum()):
        texts.append(f"▽ {plural(n_broken, 'infeasible trial')}.")
    if len(shown) < len(off_front):
        texts.append(f"{len(shown):,} of {len(off_front):,} other trials are drawn.")
    return {
        "goals": goals,
        "points": _points(round_, best, goals),
        "others": values[shown].tolist(),
        "infeasible": values[finite & broken][:_OTHERS].tolist(),
        "about": " ".join(texts),
    }


def _points(round_: Round, best: pd.DataFrame, goals: list[dict[str, str]]) -> list[Content]:
    names = [name for name in round_.space if name in best and not round_.space[name].fixed]
    chosen = _chosen(round_)
    points = []
    for index, row in best.iterrows():
        label_ = int(str(index))
        values = [
            float(row[goal["name"]]) if goal["name"] in best else float(row.iloc[k])
            for k, goal in enumerate(goals)
        ]
        texts = [f"{goal['name']} {score(v)}" for goal, v in zip(goals, values, strict=True)]
        points.append(
            {
                "label": label_,
                "values": values,
                "text": ", ".join(texts),
                "configuration": ", ".join(f"{n} {label(row[n])}" for n in names if row[n] == row[n]),
                "chosen": label_ == chosen,
            }
        )
    return points


def _chosen(round_: Round) -> int | None:
    """The label of the last chosen point."""
    last: Any = next((d.chosen for d in reversed(round_._decisions) if d.kind == "chosen"), None)
    if last is None:
        return None
    records = round_._context.reader.records([round_._stored.pk], curves=round_._metric.curves)
    return next((i for i, c in enumerate(records.configurations) if dict(c) == dict(last)), None)


# Figures, and comparisons of rounds.

# Figures that need no analysis.
WITHOUT_ANALYSIS = ("best_so_far",)

# Figures that the page may ask for -> their number of parameters.
PICTURES = {
    **dict.fromkeys((*WITHOUT_ANALYSIS, "correlation", "failing", "cost", "front", "edf", "curves"), 0),
    **dict.fromkeys(("density", "levels"), 1),
    "pair": 2,
}

# Themes of a light and a dark page, and widths of a narrow and a wide page.
_THEMES = ("light", "dark")
_WIDTHS = ("text", "wide")

_ALONE = threading.Lock()  # settings of matplotlib are global to the process


def picture(round_: Round, analysis: Analysis | None, message: Message) -> Content:
    """A figure as SVG with its caption.

    Raises:
        ReviewError: An unknown figure, or a wrong number of parameters.
        AnalysisError: The round has no data for the figure.
    """
    name = message["name"]
    about = message.get("about", [])
    if name not in PICTURES:
        raise ReviewError(f"no figure {name!r}; {did_you_mean(name, PICTURES)}")
    if len(about) != PICTURES[name]:
        raise ReviewError(f"figure {name!r} is about {plural(PICTURES[name], 'parameter')}, got {len(about)}")
    draw = getattr(Plots(round_, analysis), name)
    with _ALONE:
        theme = _THEMES[bool(message.get("dark"))]
        width = _WIDTHS[bool(message.get("wide"))]
        axes = draw(*about, theme=theme, width=width)
        return {
            "svg": svg(axes).decode(),
            "text": " ".join((draw.__doc__ or name).partition("\n\n")[0].split()),
        }


def beside_content(round_: Round, other: Round | None, *, across: bool) -> Content:
    """Differences between a round and a second round, default the parent, as a table and sentences.

    ``across`` compares rounds of two studies, which have no common tree.

    Raises:
        ReviewError: The round has no parent, and ``other`` is missing.
    """
    if other is None:
        other = round_.parent
    if other is None:
        raise ReviewError(
            f"round {round_.id} is a first round without a parent; name another round to compare with"
        )
    pair = (other, round_)
    if across:
        pair = (round_, other)
    compared = rounds_difference(*pair)
    page = comparison_page(compared)
    table = next(block for block in page.folds[0].blocks if isinstance(block, Grid))
    rows = [[as_cell(value).text for value in row] for row in table.rows]
    texts = [f"{word}: {cell.text}" for word, cell in page.facts]
    texts += page.texts("trials")
    if across:
        texts = [beats_sentence(c, "the second study", "the first") for c in [compared.populations] if c]
    return {"head": list(table.head), "rows": rows, "texts": texts}
