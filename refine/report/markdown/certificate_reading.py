"""Gathers from the store what a winner's certificate says."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from refine._version import VERSION
from refine.analysis.ablation import ablation_of
from refine.analysis.winner import Winner
from refine.design.space_filling import IMPORTED
from refine.report.markdown.certificate import CertificateFacts, certificate
from refine.report.markdown.decision import KIND_WORDS
from refine.report.markdown.names import file_name
from refine.report.markdown.rendering import in_one_file
from refine.report.markdown.round_facts import ORIGIN_WORDS
from refine.report.markdown.script import configuration_code, reproduce
from refine.report.markdown.sections import store_name
from refine.run.holdout import HoldoutResult
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.tree.winner import ran
from refine.trials.round_record import OPTUNA
from refine.trials.trial import ORIGINS, STATES
from refine.utils.provided import provides

_DESIGNS = {
    "sobol": "scrambled Sobol' points without replacement",
    "uniform": "uniform draws without replacement",
    IMPORTED: "whoever ran the imported trials",
}


@provides("winner.report")
def write_winner(won: Winner, home: Tree | Round, folder: Path, html: bool) -> Path:
    """Writes the certificate of a winner: see :meth:`refine.Winner.report`."""
    facts = facts_of(won, home)
    if isinstance(home, Round):
        facts = replace(
            facts, file=file_name(home._at_once(), folder, f"-winner{'.html' if html else '.md'}")
        )
    write = partial(certificate, facts)
    return in_one_file(write, folder) if html else write(folder)


def facts_of(won: Winner, home: Tree | Round) -> CertificateFacts:
    """Everything that a certificate says.

    Args:
        won: The configuration to hand over.
        home: The tree, or the round, that it is of.
    """
    here = home._at_once()
    if isinstance(here, Tree):
        rounds, context = list(comparable(here.rounds)), here._context
    else:
        alike = {stored.node.id for stored, _ in here._judged_alike}
        rounds = [
            here._other(node.id) if node.id != here.id else here for node in here.path if node.id in alike
        ]
        context = here.context
    goals = [(r._stored, r.goal) for r in rounds]
    tables = [r.trials for r in rounds]
    states, origins = Counter[str](), Counter[str]()
    for frame in tables:
        states.update(frame["state"])
        origins.update(frame["origin"])
    replicates = [r.replicates for r in rounds]
    every = [float(s) for frame in (*tables, *replicates) for s in frame["seconds"] if math.isfinite(s)]
    mine = next(r for r in rounds if r.id == won.round)
    environments = context.reader.environments_of(mine._stored.pk, [won.candidates[0].key])
    gain = won.gain
    first = rounds[0]
    decided = Counter(KIND_WORDS.get(d.kind, d.kind).lower() for r in rounds for d in r.decisions)
    openings = [o for r in rounds for o in r.holdout_results]
    return CertificateFacts(
        winner=won,
        name=context.name,
        round=here.id if isinstance(here, Round) else None,
        space=first.space,
        design=_DESIGNS.get(first.node.method, f"the sampler {first.node.method.removeprefix(OPTUNA)}"),
        seeds=tuple(r.node.seed for r in rounds),
        states={s: states[s] for s in STATES if states[s]},
        origins={ORIGIN_WORDS[o]: origins[o] for o in ORIGINS if origins[o]},
        rounds=len(rounds),
        replicates=sum(len(frame) for frame in replicates),
        looks=sum(len(context.reader.proposals(r._stored.pk)) for r in rounds),
        decisions=dict(decided),
        seconds=sum(every) if every else math.nan,
        winner_seconds=_seconds(won, mine),
        holdout=_holdout(won, mine),
        openings=len(openings),
        ablation=()
        if gain is None or gain.same
        else ablation_of(ran(context.reader, goals), gain.baseline, won.candidates[0]),
        environment=environments[-1] if environments else {},
        codes=tuple(
            dict.fromkeys(c for r in rounds for c in context.reader.records([r._stored.pk]).columns["code"])
        ),
        data=mine.node.data,
        objective=mine.node.objective,
        store=store_name(context.store.name),
        version=VERSION,
        reproduce=_reproduce(won, mine),
    )


def _seconds(won: Winner, mine: Round) -> tuple[float, ...]:
    """Times of the trainings of the winner in its round."""
    columns = mine.context.reader.records([mine._stored.pk], replicates=True).columns
    key = won.candidates[0].key
    rows = zip(columns["key"], columns["state"], columns["seconds"], strict=True)
    return tuple(float(s) for k, state, s in rows if k == key and state == "complete" and math.isfinite(s))


def _holdout(won: Winner, mine: Round) -> HoldoutResult | None:
    """What the hold-out showed of the winner, if it was measured on it; the winner's row alone."""
    key = won.candidates[0].key
    openings = mine.context.reader.openings(mine._stored.pk)
    for opening, shown in zip(openings, mine.holdout_results, strict=True):
        if key in opening.keys:
            return shown.only(opening.keys.index(key))
    return None


def _reproduce(won: Winner, mine: Round) -> str:
    first = won.candidates[0]
    seed = mine.node.trial_seed(first.key, 0)
    return "\n".join(
        [
            reproduce(mine),
            "",
            f"# The winner; the seed of its planned run was {seed}.",
            f"params = {configuration_code(first.configuration)}",
        ]
    )
