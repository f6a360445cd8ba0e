"""The certificate of a winner: what it is worth, how that is known, how it was found, and how to train it again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from refine._version import VERSION
from refine.analysis.ablation import Change, ablation_of
from refine.analysis.winner import Winner
from refine.design.space_filling import IMPORTED
from refine.report.markdown.facts import KIND_WORDS, ORIGIN_WORDS, counted, fingerprints, store_name
from refine.report.markdown.rendering import file_name, published, written
from refine.report.markdown.script import configuration_code, reproduce
from refine.report.markdown.text import (
    Part,
    Raw,
    Section,
    code,
    escape,
    fence,
    joined,
    opened,
    slug,
    values_table,
)
from refine.report.pages.winner import between, differing
from refine.run.fingerprint import versions_of
from refine.run.holdout import HoldoutResult
from refine.space.space import Space
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.tree.winner import ran
from refine.trials.round_record import OPTUNA
from refine.trials.trial import STATES
from refine.utils.action import Action
from refine.utils.display import Items
from refine.utils.format import duration, percent, plural, probability, score
from refine.utils.provided import provides

_DESIGNS = {
    "sobol": "scrambled Sobol' points without replacement",
    "uniform": "uniform draws without replacement",
    IMPORTED: "whoever ran the imported trials",
}
_INTERVAL = (
    "The interval is of the mean over seeds, by the posterior of all runs, and as wide as to hold its planned run. The posterior draws values towards what its "
    "neighbours showed, so that having been chosen as the best of many is accounted for: what is chosen by a posterior "
    "mean is not biased by the choice where the posterior is right (Dawid 1994; Efron 2011)."
)
_HARDWARE = ("cpu", "gpu", "platform")
_SOFTWARE = ("python", "tensorflow", "keras", "backend", "torch", "jax", "scikit-learn", "numpy")


@provides("winner.report")
def write_winner(won: Winner, home: Tree | Round, folder: Path, html: bool) -> Path:
    """Writes the certificate of a winner: see :meth:`refine.Winner.report`."""
    home = home._at_once()
    if isinstance(home, Round):
        file = file_name(home, folder, f"-winner{'.html' if html else '.md'}")
    else:
        file = slug(home.name, set())
    return written(partial(_write, _search_of(won, home), file), folder, html)


@dataclass(frozen=True, eq=False)
class _Search:
    """What the store knows of the search that a winner came of, in all rounds that were judged alike."""

    won: Winner
    home: Tree | Round
    mine: Round  # the winner's
    rounds: int
    space: Space  # of the first round, as is the design
    design: str
    seeds: str
    states: str
    origins: str
    trials: int
    fresh: int  # runs under new seeds
    looks: int
    decisions: Counter[str]
    seconds: float  # of all trainings; NaN where nobody measured it
    openings: int
    holdout: HoldoutResult | None  # the winner's row alone; None where it was not measured on it
    ablation: tuple[Change, ...]
    codes: tuple[str, ...]
    environment: Mapping[str, Any]


def _search_of(won: Winner, home: Tree | Round) -> _Search:
    if isinstance(home, Tree):
        rounds = list(comparable(home.rounds))
    else:
        alike = {stored.node.id for stored, _ in home._judged_alike}
        path = [node.id for node in home.path if node.id in alike]
        rounds = [home if i == home.id else home._other(i) for i in path]
    best, gain, first = won.candidates[0], won.gain, rounds[0]
    mine = next(r for r in rounds if r.id == won.round)
    reader, pk = mine.context.reader, mine._stored.pk
    tables, replicates = [r.trials for r in rounds], [r.replicates for r in rounds]
    times = [s for frame in (*tables, *replicates) for s in frame["seconds"] if math.isfinite(s)]
    holdout = None
    for opening, result in zip(reader.openings(pk), mine.holdout_results, strict=True):
        if holdout is None and best.key in opening.keys:
            holdout = result.only(opening.keys.index(best.key))
    steps: tuple[Change, ...] = ()
    if gain is not None and not gain.same:
        steps = ablation_of(ran(reader, [(r._stored, r.goal) for r in rounds]), gain.baseline, best)
    method = first.node.method
    return _Search(
        won=won,
        home=home,
        mine=mine,
        rounds=len(rounds),
        space=first.space,
        design=_DESIGNS.get(method, f"the sampler {method.removeprefix(OPTUNA)}"),
        seeds=", ".join(str(r.node.seed) for r in rounds),
        states=counted(Counter(s for frame in tables for s in frame["state"]), {s: s for s in STATES}),
        origins=counted(Counter(o for frame in tables for o in frame["origin"]), ORIGIN_WORDS),
        trials=sum(map(len, tables)),
        fresh=sum(map(len, replicates)),
        looks=sum(len(reader.proposals(r._stored.pk)) for r in rounds),
        decisions=Counter(KIND_WORDS.get(d.kind, d.kind).lower() for r in rounds for d in r.decisions),
        seconds=float(sum(times)) if times else math.nan,
        openings=sum(len(r.holdout_results) for r in rounds),
        holdout=holdout,
        ablation=steps,
        codes=versions_of([c for r in rounds for c in reader.records([r._stored.pk]).columns["code"]]),
        environment=next(reversed(reader.environments_of(pk, [best.key])), {}),
    )


def _write(search: _Search, file: str, folder: Path) -> Path:
    won, best, page = search.won, search.won.candidates[0], search.won.page()
    title = f"Certificate of the winner of {escape(search.mine.context.name)}"
    if isinstance(search.home, Round):
        title = f"{title}, round {code(search.home.id)}"
    known, *more = page.folds
    head: list[Part] = [replace(page, folds=()), _summary(search), known.blocks[0]]
    seed, params = search.mine.node.trial_seed(best.key, 0), configuration_code(best.configuration)
    script = f"{reproduce(search.mine)}\n\n# The winner; the seed of its planned run was {seed}.\nparams = {params}"
    evidence = [
        Section("How that is known", (Items(tuple(_notes(search))), *known.blocks[1:], *opened(more))),
        _ablation(search),
        _cheaper(won),
        Section("For a methods section", (Raw(f"> {escape(' '.join(_methods(search)))}"),)),
        Section(
            "Reproducibility checklist",
            (values_table(["question", "answer"], list(_checklist(search).items())),),
        ),
        Section("Reproduce it", (fence(script, "python"),)),
    ]
    return published(folder / f"{file}-winner.md", Raw(title), head, evidence)


def _summary(search: _Search) -> str:
    won = search.won
    parts = [
        f"It is one of {plural(won.evaluated, 'configuration')} that were evaluated in {plural(search.rounds, 'round')}; "
        f"decisions between them: {counted(search.decisions) or 'none'}."
    ]
    if won.gain is None:
        parts.append("No baseline was given, so that nothing is said of what the search was worth.")
    if search.holdout is not None:
        parts.append(_holdout(search.holdout))
    return " ".join(parts)


def _holdout(found: HoldoutResult) -> str:
    first = found.table.iloc[0]
    models, sd = plural(int(first["runs"]), "model"), float(first["sd"])
    spread = f" (deviation {score(sd)})" if math.isfinite(sd) else ""
    return f"On the hold-out it has {score(float(first['holdout']))}, the mean of {models} that were trained anew{spread}."


def _notes(search: _Search) -> Iterator[str]:
    best = search.won.candidates[0]
    if math.isfinite(best.low):
        yield _INTERVAL
    if not best.fresh:
        yield f"It was not run under new seeds; {Action('tree.confirm', budget=20)} does that, and narrows the interval."
    columns = search.mine.context.reader.records([search.mine._stored.pk], replicates=True).columns
    rows = zip(columns["key"], columns["state"], columns["seconds"], strict=True)
    times = [
        float(s) for key, state, s in rows if key == best.key and state == "complete" and math.isfinite(s)
    ]
    if times:
        yield f"It takes {duration(fmean(times))} to train, the mean of {plural(len(times), 'training')}."
    if search.holdout is None and search.openings:
        yield "The hold-out was not opened for it."
    elif search.holdout is None:
        yield "No hold-out was opened: every number here comes from the data that the search was made on."


def _ablation(search: _Search) -> Section | None:
    steps = search.ablation
    if not steps:
        return None
    rows = [
        [
            joined([f"{n}: {a} to {b}" for n, a, b in zip(step.names, step.before, step.after, strict=True)]),
            score(step.gain),
            between(step.low, step.high),
            score(step.expected),
            "a trial and the posterior" if step.evaluated else "the posterior",
        ]
        for step in steps
    ]
    evaluated = sum(step.evaluated for step in steps)
    how = "None of the steps between was evaluated: their values are posterior means."
    if evaluated > 1:
        how = f"{evaluated} of {len(steps)} steps lead to a configuration that was evaluated; values are posterior means."
    told = (
        f"From the baseline to the winner, one parameter at a time, the change that gains most first. {how}"
    )
    head = ["change", "gain", "95 % interval", f"{search.won.metric} expected after it", "known by"]
    return Section("What makes the difference", (told, values_table(head, rows)))


def _cheaper(won: Winner) -> Section:
    title, most, first = "What is cheaper", score(won.tolerance), won.candidates[0]
    if not math.isfinite(first.seconds):
        return Section(
            title, ("How long trainings took was not measured, so that nothing is said of what is cheaper.",)
        )
    if not won.cheaper:
        none = f"Nothing that takes four fifths of its time or less is expected to come within {most} of it."
        return Section(title, (none,))
    rows = []
    for other in won.cheaper:
        share = percent(other.seconds / first.seconds if first.seconds else None)
        at = ", ".join(f"{name} = {other.labels[name]}" for name in differing(first, other))
        rows.append(
            [score(other.expected), between(other.low, other.high), duration(other.seconds), share, at]
        )
    head = ["expected", "95 % interval", "time", "of the winner's", "instead"]
    return Section(
        title, (f"Expected to lose no more than {most}, and cheaper to train:", values_table(head, rows))
    )


def _methods(search: _Search) -> Iterator[str]:
    won, space, replicates = search.won, search.space, search.fresh
    interval = between(*won.interval)
    yield (
        f"We tuned {plural(len(space.varied), 'hyperparameter')} with refine {VERSION} in {plural(search.rounds, 'round')} of "
        f"{search.trials:,} trainings in all ({search.origins}); the first round drew from a "
        f"grid of {space.size:,} configurations by {search.design}."
    )
    if search.decisions:
        made = plural(search.decisions.total(), "decision")
        yield f"Between rounds the space was changed by {made} ({counted(search.decisions)})."
    how = "mean of its runs" if interval == "-" else "posterior mean over seeds, not the best observed value,"
    among = plural(won.evaluated, "evaluated configuration")
    yield f"The configuration reported is the one with the best {how} among {among}."
    if won.race is not None:
        entrants, runs = plural(len(won.race.racers), "configuration"), plural(won.race.runs, "training")
        yield f"It was confirmed by a race of {entrants} with {runs} under new seeds."
    elif replicates:
        yield f"{plural(replicates, 'further training')} under new seeds informed that choice."
    sure = "" if interval == "-" else f" (95 % posterior interval {interval})"
    yield f"Its expected {won.metric} is {score(won.expected)}{sure}."
    gain = won.gain
    if gain is not None and math.isfinite(gain.low):
        yield (
            f"Against the baseline, trained {plural(1 + len(gain.baseline.fresh), 'time')}, it gains {score(gain.expected)} "
            f"({between(gain.low, gain.high)}; more than 0 with probability {probability(gain.probability)})."
        )
    if search.holdout is None:
        yield "No hold-out was opened for it, so that these values are of the validation data."
    else:
        yield f"{_holdout(search.holdout)} The hold-out was opened {plural(search.openings, 'time')}."
    if math.isfinite(search.seconds):
        tools = search.environment
        device = tools.get("gpu") or tools.get("cpu")
        yield f"All trainings took {duration(search.seconds)}{f' on {device}' if device else ''}."


def _checklist(search: _Search) -> dict[str, str]:
    won, tools, space, mine = search.won, search.environment, search.space, search.mine
    known, fresh = math.isfinite(won.interval[0]), len(won.candidates[0].fresh)
    data, codes = (text for _, text in fingerprints(mine.node.data, search.codes))
    software = [f"{name} {tools[name]}" for name in _SOFTWARE if name in tools]
    commit = escape(f", commit {tools['git']}") if "git" in tools else ""
    compared = (
        "no" if won.gain is None else f"yes, trained {plural(1 + len(won.gain.baseline.fresh), 'time')}"
    )
    return {
        "What was tuned?": code(mine.node.objective),
        "Is the search space stated?": (
            f"yes: {plural(len(space.varied), 'parameter')}, {space.size:,} configurations, in the reports of the rounds"
        ),
        "How many configurations were tried, in all?": (
            f"{won.evaluated:,}, in {search.trials:,} trials; failed ones are counted: {search.states}"
        ),
        "How were they drawn?": f"{search.origins}; in the first round by {search.design}",
        "How many rounds and decisions were there?": (
            f"{plural(search.rounds, 'round')}; decisions: {counted(search.decisions) or 'none'}"
        ),
        "How often were results looked at?": (
            f"{plural(search.looks, 'proposal')}, {plural(search.openings, 'opening')} of the hold-out"
        ),
        "How was the reported one chosen?": "by its posterior mean" if known else "by the mean of its runs",
        "How many runs is its value from?": f"{plural(1 + fresh, 'run')} of it, and those of its neighbours; {plural(search.fresh, 'run')} under new seeds in all",
        "What do the error bars mean?": (
            "95 % posterior interval of the mean over seeds" if known else "there are none"
        ),
        "Was it measured on data that the search never saw?": "no" if search.holdout is None else "yes",
        "Is it compared with a baseline?": compared,
        "Are the seeds stated?": f"yes: that of each trial is stored; of the designs {search.seeds}",
        "What did it cost?": duration(search.seconds) if math.isfinite(search.seconds) else "not measured",
        "On what did it run?": ", ".join(str(tools[k]) for k in _HARDWARE if k in tools) or "not recorded",
        "Which software?": ", ".join(software) or "not recorded",
        "Is the code identified?": Raw(f"{codes}{commit}"),
        "Are the data identified?": data,
        "Where is it kept?": code(store_name(mine.context.store.name)),
        "Can it be run again?": "yes: below, and round.replay checks stored trials",
    }
