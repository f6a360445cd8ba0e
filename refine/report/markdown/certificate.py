"""The certificate of a winner: value, evidence, search history, and code for retraining."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from refine.analysis.winner import Winner
from refine.design.space_filling import IMPORTED
from refine.report.markdown.facts import (
    KIND_WORDS,
    ORIGIN_WORDS,
    cost_text,
    counted,
    fingerprints,
    store_name,
)
from refine.report.markdown.rendering import (
    Part,
    Raw,
    Section,
    code,
    escape,
    fence,
    numbered,
    opened,
    published,
    slug,
    values_table,
)
from refine.report.markdown.script import configuration_code, reproduce
from refine.report.pages.winner import between, confirm_call, differing
from refine.run.fingerprint import versions_of
from refine.run.holdout import HoldoutResult
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.tree.winner import comparable_rounds
from refine.trials.round_record import OPTUNA
from refine.trials.trial import STATES
from refine.utils.display import Items, Page
from refine.utils.format import difference, duration, percent, plural, score
from refine.utils.provided import provides

_DESIGNS = {
    "sobol": "scrambled Sobol' points without replacement",
    "uniform": "uniform draws without replacement",
    IMPORTED: "the author of the imported trials",
}
_INTERVAL = (
    "The interval is that of the mean over seeds, by the posterior of all runs, and wide enough to hold the "
    "planned run. The posterior shrinks each value towards those of its neighbours. This accounts for the "
    "choice of the best of many: a choice by posterior mean has no bias if the posterior is right (Dawid "
    "1994; Efron 2011)."
)
_HARDWARE = ("cpu", "gpu", "platform")
_SOFTWARE = ("python", "tensorflow", "keras", "backend", "torch", "jax", "scikit-learn", "numpy")


@dataclass(frozen=True, eq=False)
class _Search:
    """The search behind a winner: all rounds with the same metric, and records of the winner's round."""

    won: Winner
    rounds: Sequence[Round]
    winner_round: Round
    holdout: HoldoutResult | None  # row of the winner; ``None`` without a hold-out value of the winner
    environment: Mapping[str, Any]

    @property
    def openings(self) -> int:
        """Number of times the hold-out was opened."""
        return sum(len(r._holdout_results) for r in self.rounds)


@provides("winner.report")
def write_winner(won: Winner, home: Tree | Round, folder: Path, html: bool) -> Path:
    """Writes the certificate of a winner: see :meth:`refine.Winner.report`."""
    home = home._at_once()
    if isinstance(home, Tree):
        file = slug(home._name, set())
        title = ""
        rounds = comparable(home.rounds)
    else:
        file = numbered(home)
        title = f", round {code(home.id)}"
        rounds = [home._other(stored.node.id) for stored, _ in comparable_rounds(home)]
    round_ = next(r for r in rounds if r.id == won.round)
    reader = round_._context.reader
    pk = round_._stored.pk
    key = won.candidates[0].key
    openings = zip(reader.openings(pk), round_._holdout_results, strict=True)
    shown = next((r.only(opened.keys.index(key)) for opened, r in openings if key in opened.keys), None)
    tools = next(reversed(reader.environments_of(pk, [key])), {})
    title = f"Certificate of the winner of {escape(round_._context.name)}{title}"
    search = _Search(won, rounds, round_, shown, tools)
    page = won._page()
    head: list[Part] = [replace(page, folds=()), page.folds[0].blocks[0]]
    if shown is not None:
        first = shown.table.iloc[0]
        models = plural(int(first["runs"]), "model")
        text = f"Hold-out: {score(float(first['holdout']))}, mean of {models} retrained for it"
        if math.isfinite(first["sd"]):
            text += f" (deviation {score(float(first['sd']))})"
        head.insert(1, f"{text}.")
    path = Path(folder) / f"{file}-winner.md"
    return published(path, Raw(title), head, _evidence(search, page), html=html)


def _evidence(search: _Search, page: Page) -> list[Part]:
    """The folded sections of a certificate; ``page`` is the winner's."""
    won = search.won
    best = won.candidates[0]
    summary_fold, *other_folds = page.folds
    seed = search.winner_round._node.trial_seed(best.key, 0)
    params = configuration_code(best.configuration)
    script = (
        f"{reproduce(search.winner_round)}\n\n# The winner; the seed of its planned run was "
        f"{seed}.\nparams = {params}"
    )
    checklist = values_table(["question", "answer"], list(_checklist(search).items()))
    notes = Items(list(_notes(search)))
    return [
        Section("Evidence of the value", [notes, *summary_fold.blocks[1:], *opened(other_folds)]),
        _cheaper(won),
        Section("Reproducibility checklist", [checklist]),
        Section("Reproduce", [fence(script, "python")]),
    ]


def _notes(search: _Search) -> Iterator[str]:
    best = search.won.candidates[0]
    if math.isfinite(best.low):
        yield _INTERVAL
    if not best.replicates:
        call = confirm_call(search.won)
        if call is None:
            yield "The winner was not repeated."
        else:
            yield f"The winner was not repeated; {call} repeats it and narrows the interval."
    columns = search.winner_round._context.reader.records(
        [search.winner_round._stored.pk], replicates=True
    ).columns
    rows = zip(columns["key"], columns["state"], columns["seconds"], strict=True)
    times = [
        float(s) for key, state, s in rows if key == best.key and state == "complete" and math.isfinite(s)
    ]
    if times:
        yield f"Training takes {duration(fmean(times))}, the mean of {plural(len(times), 'training')}."
    if search.holdout is None and search.openings:
        yield "The hold-out was not opened for the winner."
    elif search.holdout is None:
        yield "No hold-out was opened: every number here comes from the data of the search."


def _cheaper(won: Winner) -> Section:
    tolerance = difference(won.tolerance)
    first = won.candidates[0]
    parts: list[Part] = ["Times were not measured, so cheaper configurations are unknown."]
    if won.cheaper:
        rows = []
        for other in won.cheaper:
            times = duration(other.seconds), percent(other.seconds / first.seconds if first.seconds else None)
            changes = ", ".join(f"{name} = {other.labels[name]}" for name in differing(first, other))
            rows.append([score(other.expected), between(other.low, other.high), *times, changes])
        head = ["expected", "95 % interval", "time", "share of the winner's time", "difference"]
        intro = f"Expected to lose no more than {tolerance}, and cheaper to train:"
        parts = [intro, values_table(head, rows)]
    elif math.isfinite(first.seconds):
        parts = [
            "No configuration with at most four fifths of the winner's time is expected within "
            f"{tolerance} of its value."
        ]
    return Section("Cheaper configurations", parts)


def _checklist(search: _Search) -> dict[str, str]:
    won = search.won
    rounds = search.rounds
    first = rounds[0]
    has_interval = math.isfinite(won.interval[0])
    reader = first._context.reader
    tables = [r.trials for r in rounds]
    replicates = [r.replicates for r in rounds]
    states = counted(Counter(s for frame in tables for s in frame["state"]), {s: s for s in STATES})
    origins = counted(Counter(o for frame in tables for o in frame["origin"]), ORIGIN_WORDS)
    design = _DESIGNS.get(first._node.method, f"the sampler {first._node.method.removeprefix(OPTUNA)}")
    decisions = counted(Counter(KIND_WORDS.get(d.kind, d.kind).lower() for r in rounds for d in r._decisions))
    proposal_count = sum(len(reader.proposals(r._stored.pk)) for r in rounds)
    compared = "no: none was given"
    if won.gain is not None:
        compared = f"yes, trained {plural(1 + len(won.gain.baseline.replicates), 'time')}"
    return {
        "What was tuned?": code(search.winner_round._node.objective),
        "Is the search space stated?": (
            f"yes: {plural(len(first.space.varied), 'parameter')}, {first.space.size:,} configurations, "
            "in the reports of the rounds"
        ),
        "How many configurations were tried, in all?": (
            f"{won.evaluated:,}, in {sum(map(len, tables)):,} trials; failed ones are counted: {states}"
        ),
        "How were they drawn?": f"{origins}; in the first round by {design}",
        "How many rounds and decisions were there?": (
            f"{plural(len(rounds), 'round')}; decisions: {decisions or 'none'}"
        ),
        "How often were results looked at?": (
            f"{plural(proposal_count, 'proposal')}, {plural(search.openings, 'opening')} of the hold-out"
        ),
        "How was the reported one chosen?": (
            "by its posterior mean over seeds, not the best observed value"
            if has_interval
            else "by the mean of its runs"
        ),
        "How many runs is its value from?": (
            f"{plural(1 + len(won.candidates[0].replicates), 'run')} of it, and those of its neighbours; "
            f"{plural(sum(map(len, replicates)), 'run')} under new seeds in all"
        ),
        "What do the error bars mean?": (
            "95 % posterior interval of the mean over seeds" if has_interval else "there are none"
        ),
        "Was it measured on data that the search never saw?": "no" if search.holdout is None else "yes",
        "Is it compared with a baseline?": compared,
        "Are the seeds stated?": (
            "yes: that of each trial is stored; of the designs "
            f"{', '.join(str(round_._node.seed) for round_ in rounds)}"
        ),
        "What did it cost?": cost_text(tables, replicates),
        **_environment(search),
        "Where is it kept?": code(store_name(first._context.store.name)),
        "Can it be run again?": "yes: below, and round.replay checks stored trials",
    }


def _environment(search: _Search) -> dict[str, str]:
    """The questions about machine, software, code and data."""
    tools = search.environment
    reader = search.winner_round._context.reader
    versions = versions_of([c for r in search.rounds for c in reader.records([r._stored.pk]).columns["code"]])
    data, codes = (text for _, text in fingerprints(search.winner_round._node.data, versions))
    if "git" in tools:
        codes = Raw(codes + escape(f", commit {tools['git']}"))
    hardware = ", ".join(str(tools[name]) for name in _HARDWARE if name in tools)
    software = ", ".join(f"{name} {tools[name]}" for name in _SOFTWARE if name in tools)
    return {
        "On what did it run?": hardware or "not recorded",
        "Which software?": software or "not recorded",
        "Is the code identified?": codes,
        "Are the data identified?": data,
    }
