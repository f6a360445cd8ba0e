"""The certificate of a winner: what it is worth, how that is known, how it was found, and how to train it again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from refine.report.markdown.rendering import published
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
from refine.report.pages.winner import differing
from refine.utils.action import Action
from refine.utils.display import Items
from refine.utils.files import made_folder
from refine.utils.format import duration, percent, plural, probability, score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refine.analysis.ablation import Change
    from refine.analysis.winner import Winner
    from refine.run.holdout import HoldoutResult
    from refine.space.space import Space

_INTERVAL = (
    "The interval is of the mean over seeds, by the posterior of all runs, and as wide as to hold its planned run. The posterior draws values towards what its "
    "neighbours showed, so that having been chosen as the best of many is accounted for: what is chosen by a posterior "
    "mean is not biased by the choice where the posterior is right (Dawid 1994; Efron 2011)."
)


@dataclass(frozen=True, eq=False)
class CertificateFacts:
    """Everything that a certificate says.

    Attributes:
        winner: The configuration to hand over.
        name: Of the tree.
        round: Id of the round that it is of; ``None`` for the whole tree.
        space: Of the first round.
        design: How the first round was drawn, in words.
        seeds: Seeds of the rounds' designs, oldest first.
        states: State -> number of planned trials of all rounds that were judged alike.
        origins: Origin, in words -> the same.
        rounds: How many these are.
        replicates: How many runs under new seeds there were.
        looks: How many proposals were looked at.
        decisions: Kind of decision, in words -> how often.
        seconds: Time of all trainings; NaN where nobody measured it.
        winner_seconds: Times of the trainings of the winner.
        holdout: What the hold-out showed of the winner; ``None`` where it was not measured on it.
        openings: How often the hold-out was opened.
        ablation: The changes from the baseline to the winner.
        environment: Package -> version, of the winner's round.
        codes: Fingerprints of the code that ran.
        data: Fingerprint of the data; ``None`` where the objective names none.
        objective: Its name.
        store: Where everything is kept, shown without folders, user or password.
        version: Of this package.
        reproduce: Python that trains the winner again.
        file: What a round's files are called; default its id.
    """

    winner: Winner
    name: str
    round: str | None
    space: Space
    design: str
    seeds: tuple[int, ...]
    states: Mapping[str, int]
    origins: Mapping[str, int]
    rounds: int
    replicates: int
    looks: int
    decisions: Mapping[str, int]
    seconds: float
    winner_seconds: tuple[float, ...]
    holdout: HoldoutResult | None
    openings: int
    ablation: tuple[Change, ...]
    environment: Mapping[str, str]
    codes: tuple[str, ...]
    data: str | None
    objective: str
    store: str
    version: str
    reproduce: str
    file: str = ""


def certificate(facts: CertificateFacts, folder: str | Path) -> Path:
    """Writes ``<folder>/<tree or round>-winner.md``.

    Returns:
        The markdown file.
    """
    where, won = Path(folder), facts.winner
    made_folder(where)
    name = facts.file or facts.round or slug(facts.name, set())
    page, columns = won.page(), ["what", won.metric, "95 % interval", "how it is known"]
    head: list[Part] = [replace(page, folds=()), _summary(facts), values_table(columns, _worth(facts))]
    evidence = [
        Section("How that is known", (Items(tuple(_notes(facts))), *opened(page.folds))),
        _ablation(facts),
        _cheaper(won),
        Section("How it was found", (values_table(["what", "value"], _found(facts)),)),
        Section("For a methods section", (Raw(f"> {escape(methods(facts))}"),)),
        Section("Reproducibility checklist", (values_table(["question", "answer"], _checklist(facts)),)),
        Section("Reproduce it", (fence(facts.reproduce, "python"),)),
    ]
    title = Raw(f"Certificate of the winner of {escape(facts.name)}{_of_round(facts)}")
    return published(where / f"{name}-winner.md", title, head, evidence)


def _of_round(facts: CertificateFacts) -> str:
    return "" if facts.round is None else f", round {code(facts.round)}"


def _summary(facts: CertificateFacts) -> str:
    won = facts.winner
    decided = ", ".join(f"{count:,} {kind}" for kind, count in facts.decisions.items())
    parts = [
        f"It is one of {plural(won.evaluated, 'configuration')} that were evaluated in {plural(facts.rounds, 'round')}; "
        f"decisions between them: {decided or 'none'}."
    ]
    if won.gain is None:
        parts.append("No baseline was given, so that nothing is said of what the search was worth.")
    if facts.holdout is not None:
        parts.append(_holdout_sentence(facts.holdout))
    return " ".join(parts)


def _holdout_sentence(found: HoldoutResult) -> str:
    first = found.table.iloc[0]
    return (
        f"On the hold-out it has {score(float(first['holdout']))}, the mean of {plural(int(first['runs']), 'model')} that "
        "were trained anew."
    )


def _worth(facts: CertificateFacts) -> list[list[object]]:
    won = facts.winner
    best = won.candidates[0]
    low, high = won.interval
    rows: list[list[object]] = [
        [
            "expected" if won.noise.deterministic else "expected when trained again",
            score(won.expected),
            f"{score(low)} to {score(high)}" if math.isfinite(low) else "-",
            "posterior mean over all runs" if math.isfinite(low) else "mean of its runs",
        ],
        [
            "observed in its planned run",
            score(best.observed),
            "-",
            "one training, part of what it was chosen by",
        ],
    ]
    if best.fresh:
        mean = sum(best.fresh) / len(best.fresh)
        rows.append(
            [
                "under new seeds",
                score(mean),
                "-",
                f"mean of {plural(len(best.fresh), 'run')}, {_spread(best.fresh)}",
            ]
        )
    rows.append(
        [
            "best observed trial of all",
            score(won.best_value),
            "-",
            "the same configuration" if won.is_best_observed else "another configuration, a lucky draw",
        ]
    )
    if facts.holdout is not None:
        first = facts.holdout.table.iloc[0]
        sd = float(first["sd"])
        rows.append(
            [
                "on the hold-out",
                score(float(first["holdout"])),
                "-",
                f"mean of {plural(int(first['runs']), 'model')} trained anew{f', deviation {score(sd)}' if math.isfinite(sd) else ''}; "
                f"opened {plural(facts.openings, 'time')}",
            ]
        )
    if won.gain is not None and not won.gain.same:
        gain = won.gain
        interval = f"{score(gain.low)} to {score(gain.high)}" if math.isfinite(gain.low) else "-"
        rows.append(["gain over the baseline", score(gain.expected), interval, "posterior of the difference"])
    return rows


def _spread(values: tuple[float, ...]) -> str:
    return f"from {score(min(values))} to {score(max(values))}" if len(values) > 1 else "a single one"


def _notes(facts: CertificateFacts) -> list[str]:
    won = facts.winner
    notes = [_INTERVAL] if math.isfinite(won.interval[0]) else []
    if not won.candidates[0].fresh:
        notes.append(
            f"It was not run under new seeds; {Action('tree.confirm', budget=20)} does that, and narrows the interval."
        )
    if facts.winner_seconds:
        typical = sum(facts.winner_seconds) / len(facts.winner_seconds)
        notes.append(
            f"It takes {duration(typical)} to train, the mean of {plural(len(facts.winner_seconds), 'training')}."
        )
    if facts.holdout is None:
        notes.append(
            "The hold-out was not opened for it."
            if facts.openings
            else "No hold-out was opened: every number here comes from the data that the search was made on."
        )
    return notes


def _ablation(facts: CertificateFacts) -> Section | None:
    if not facts.ablation:
        return None
    rows: list[list[object]] = []
    for step in facts.ablation:
        changes = [f"{n}: {a} to {b}" for n, a, b in zip(step.names, step.before, step.after, strict=True)]
        rows.append(
            [
                joined(changes),
                score(step.gain),
                f"{score(step.low)} to {score(step.high)}",
                score(step.expected),
                "a trial and the posterior" if step.evaluated else "the posterior",
            ]
        )
    ran = sum(step.evaluated for step in facts.ablation)
    how = (
        "None of the steps between was evaluated: their values are posterior means."
        if ran <= 1
        else f"{ran} of {len(facts.ablation)} steps lead to a configuration that was evaluated; values are posterior means."
    )
    told = (
        f"From the baseline to the winner, one parameter at a time, the change that gains most first. {how}"
    )
    head = ["change", "gain", "95 % interval", f"{facts.winner.metric} expected after it", "known by"]
    return Section("What makes the difference", (told, values_table(head, rows)))


def _cheaper(won: Winner) -> Section:
    """What is nearly as good and cheaper to train."""
    title, most = "What is cheaper", score(won.tolerance)
    if not math.isfinite(won.candidates[0].seconds):
        untimed = "How long trainings took was not measured, so that nothing is said of what is cheaper."
        return Section(title, (untimed,))
    if not won.cheaper:
        none = f"Nothing that takes four fifths of its time or less is expected to come within {most} of it."
        return Section(title, (none,))
    head = ["expected", "95 % interval", "time", "of the winner's", "instead"]
    rows = [_cheaper_row(won, i) for i in range(len(won.cheaper))]
    told = f"Expected to lose no more than {most}, and cheaper to train:"
    return Section(title, (told, values_table(head, rows)))


def _cheaper_row(won: Winner, i: int) -> list[object]:
    other, first = won.cheaper[i], won.candidates[0]
    at = ", ".join(f"{name} = {other.labels[name]}" for name in differing(first, other))
    interval = f"{score(other.low)} to {score(other.high)}" if math.isfinite(other.low) else "-"
    return [
        score(other.expected),
        interval,
        duration(other.seconds),
        percent(other.seconds / first.seconds if first.seconds else None),
        at,
    ]


def _found(facts: CertificateFacts) -> list[list[object]]:
    states = ", ".join(f"{count:,} {state}" for state, count in facts.states.items())
    origins = ", ".join(f"{count:,} {origin}" for origin, count in facts.origins.items())
    decisions = ", ".join(f"{count:,} {kind}" for kind, count in facts.decisions.items())
    rows: list[list[object]] = [
        ["rounds", f"{facts.rounds:,}"],
        ["trials", states],
        ["drawn", origins],
        ["runs under new seeds", f"{facts.replicates:,}"],
        ["decisions", decisions or "none"],
        [
            "looks at the results",
            f"{plural(facts.looks, 'proposal')}, {plural(facts.openings, 'opening')} of the hold-out",
        ],
        ["first design", facts.design],
        ["design seeds", ", ".join(map(str, facts.seeds))],
        ["objective", code(facts.objective)],
        ["data", code(facts.data[:12]) if facts.data else "no fingerprint: the objective names no data"],
        ["code", joined([code(c[:12]) for c in facts.codes]) if facts.codes else "no fingerprint"],
        ["store", code(facts.store)],
    ]
    if math.isfinite(facts.seconds):
        rows.append(["time of all trainings", duration(facts.seconds)])
    return rows


def methods(facts: CertificateFacts) -> str:
    """Sentences for the methods section of a paper, from the records.

    Args:
        facts: What is known.
    """
    won, trials = facts.winner, sum(facts.states.values())
    varied = len(facts.space.varied)
    low, high = won.interval
    parts = [
        f"We tuned {plural(varied, 'hyperparameter')} with refine {facts.version} in {plural(facts.rounds, 'round')} of "
        f"{trials:,} trainings in all ({', '.join(f'{c:,} {o}' for o, c in facts.origins.items())}); the first round drew from a "
        f"grid of {facts.space.size:,} configurations by {facts.design}."
    ]
    if facts.decisions:
        said = ", ".join(f"{count:,} {kind}" for kind, count in facts.decisions.items())
        parts.append(
            f"Between rounds the space was changed by {plural(sum(facts.decisions.values()), 'decision')} ({said})."
        )
    how = (
        "posterior mean over seeds, not the best observed value,"
        if math.isfinite(low)
        else "mean of its runs"
    )
    parts.append(
        f"The configuration reported is the one with the best {how} among {plural(won.evaluated, 'evaluated configuration')}."
    )
    if won.race is not None:
        parts.append(
            f"It was confirmed by a race of {plural(len(won.race.racers), 'configuration')} with "
            f"{plural(won.race.runs, 'training')} under new seeds."
        )
    elif facts.replicates:
        parts.append(f"{plural(facts.replicates, 'further training')} under new seeds informed that choice.")
    interval = f" (95 % posterior interval {score(low)} to {score(high)})" if math.isfinite(low) else ""
    parts.append(f"Its expected {won.metric} is {score(won.expected)}{interval}.")
    if won.gain is not None and math.isfinite(won.gain.low):
        gain = won.gain
        parts.append(
            f"Against the baseline, trained {plural(1 + len(gain.baseline.fresh), 'time')}, it gains {score(gain.expected)} "
            f"({score(gain.low)} to {score(gain.high)}; more than 0 with probability {probability(gain.probability)})."
        )
    if facts.holdout is not None:
        parts.append(
            f"{_holdout_sentence(facts.holdout)} The hold-out was opened {plural(facts.openings, 'time')}."
        )
    else:
        parts.append("No hold-out was opened for it, so that these values are of the validation data.")
    if math.isfinite(facts.seconds):
        cpu = facts.environment.get("gpu") or facts.environment.get("cpu")
        parts.append(f"All trainings took {duration(facts.seconds)}{f' on {cpu}' if cpu else ''}.")
    return " ".join(parts)


def _checklist(facts: CertificateFacts) -> list[list[object]]:
    won, tools = facts.winner, facts.environment
    unseeded = "the seed of each is stored, and so is that of every design"
    return [
        [
            "Is the search space stated?",
            f"yes: {plural(len(facts.space.varied), 'parameter')}, {facts.space.size:,} configurations, in the reports of the rounds",
        ],
        [
            "How many configurations were tried, in all?",
            f"{won.evaluated:,}, in {sum(facts.states.values()):,} trials; failed ones are counted",
        ],
        [
            "How was the reported one chosen?",
            "by its posterior mean" if math.isfinite(won.interval[0]) else "by the mean of its runs",
        ],
        [
            "How many runs is its value from?",
            plural(1 + len(won.candidates[0].fresh), "run") + " of it, and those of its neighbours",
        ],
        [
            "What do the error bars mean?",
            "95 % posterior interval of the mean over seeds"
            if math.isfinite(won.interval[0])
            else "there are none",
        ],
        ["Was it measured on data that the search never saw?", "yes" if facts.holdout is not None else "no"],
        [
            "Is it compared with a baseline?",
            "no" if won.gain is None else f"yes, trained {plural(1 + len(won.gain.baseline.fresh), 'time')}",
        ],
        ["Are the seeds stated?", f"yes: {unseeded}"],
        ["What did it cost?", duration(facts.seconds) if math.isfinite(facts.seconds) else "not measured"],
        [
            "On what did it run?",
            ", ".join(str(tools[k]) for k in ("cpu", "gpu", "platform") if k in tools) or "not recorded",
        ],
        [
            "Which software?",
            ", ".join(
                f"{k} {tools[k]}"
                for k in ("python", "tensorflow", "keras", "backend", "torch", "jax", "scikit-learn", "numpy")
                if k in tools
            )
            or "not recorded",
        ],
        [
            "Is the code identified?",
            (
                f"yes, by {plural(len(facts.codes), 'fingerprint')}"
                + (f" and commit {tools['git']}" if "git" in tools else "")
            )
            if facts.codes
            else "no",
        ],
        ["Are the data identified?", "yes, by a fingerprint" if facts.data else "no"],
        ["Can it be run again?", "yes: below, and tree.replay checks stored trials"],
    ]
