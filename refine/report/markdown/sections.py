"""Sections of a report about what was run and measured."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.conditions import read_at
from refine.analysis.evidence import ALPHA, ParameterEvidence
from refine.design.pruning import words_of
from refine.design.space_filling import IMPORTED
from refine.report import figures
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import (
    ORIGIN_WORDS,
    Facts,
    changed_bounds,
    direction_of,
    finished,
    metric_of,
    origins_text,
    passed_over,
    shown,
    states_text,
    that_matter,
)
from refine.report.markdown.text import Raw, code, joined, slug, values_table
from refine.report.pages.analysis import VERDICTS
from refine.report.pages.goal import feasible_sentence
from refine.report.pages.noise import noise_clause
from refine.report.pages.proposal import next_text
from refine.report.pages.reasons import sentence
from refine.report.pages.runs import spread_text
from refine.space.edits import bounds_text
from refine.trials.frame import infeasible_rows
from refine.trials.round_record import OPTUNA, Node
from refine.trials.trial import STATES
from refine.utils.format import duration, number, p_value, percent, plural, score, signed

BEST = 10
"""Trials in the table of the best."""

SHOWN = 6
"""Parameters whose densities are shown at once; the others can be unfolded."""

ERRORS = 5
"""Different errors listed per state."""

_STATE_WORDS = {
    "failed": "an error was raised",
    "diverged": "the value was NaN or infinite",
    "crashed": "the process went down",
    "timeout": "time ran out",
    "pruned": "stopped early",
    "excluded": "somebody left it out",
    "running": "not finished yet",
}


def what_ran(facts: Facts) -> dict[str, Any]:
    """Space, constraints, design, fingerprints and versions."""
    node = facts.node
    rows = []
    for name, parameter in node.space.items():
        kind, _, levels = parameter.describe().partition(": ")
        rows.append([name, kind, levels])
    rest: list[list[object]] = [
        ["tree", facts.tree],
        ["lineage", Raw(" → ".join([*(code(a) for a in facts.ancestors), code(node.id)]))],
        ["objective", code(node.objective)],
        ["metric", f"{metric_of(facts)}, {direction_of(facts)}"],
        ["design", _design_text(facts)],
        ["design seed", node.seed],
        ["configurations", _planned_text(facts)],
        ["trials", states_text(facts)],
    ]
    if origins := origins_text(facts):
        rest.append(["drawn", origins])
    if "seconds" in facts.table and len(facts.table):
        total = float(np.nansum(np.asarray(facts.table["seconds"], dtype=float)))
        if total or node.method != IMPORTED:  # what was imported may not say how long it took
            rest.append(["time of all trials", duration(total)])
    rest += [
        ["data", code(node.data[:12]) if node.data else "no fingerprint: the objective names no data"],
        ["code", joined([code(c[:12]) for c in facts.codes]) if facts.codes else "no fingerprint"],
        ["store", code(store_name(facts.store))],
    ]
    if node.belief is not None:
        rest.append(["believed", str(node.belief) if node.belief else "nothing any more"])
    previous = [f"{n} = {shown(v)}" for n, v in sorted(node.previous.items())]
    if previous:
        rest.append(["earlier trials count as", joined(previous)])
    return {
        "space": values_table(["parameter", "kind", "levels"], rows),
        "constraints": [code(c) for c in node.space.constraints],
        "subject_to": joined([code(c) for c in node.subject_to]),
        "feasible": feasible_sentence(facts.analysis.feasibility)
        if facts.analysis is not None and facts.analysis.feasibility is not None
        else "",
        "facts": values_table(["what", "value"], rest),
        "mixed": len(facts.codes) > 1,
        "codes": len(facts.codes),
        "spread": spread_text(facts.spread),
        "versions": values_table(["what", "version"], sorted(facts.environment.items()))
        if facts.environment
        else None,
    }


def _planned_text(facts: Facts) -> str:
    node = facts.node
    if node.method == IMPORTED:
        return f"{facts.n:,} imported, not necessarily on these levels"
    if node.adaptive:
        return f"{facts.n:,} planned, between these levels too"
    return (
        f"{facts.n:,} planned of {node.space.size:,}{' before constraints' if node.space.constraints else ''}"
    )


def _design_text(facts: Facts) -> str:
    node = facts.node
    shares = [
        f"{percent(share)} {what}"
        for share, what in (
            (node.exploit, _where(node)),
            (node.audit, "outside this space but inside its parent's"),
        )
        if share
    ]
    if node.pruner is not None:
        shares.append(words_of(node.pruner))
    if node.adaptive:
        sampler = node.method.removeprefix(OPTUNA)
        return f"adaptive: {sampler} asks for one after the other, none twice{'; ' + ', '.join(shares) if shares else ''}"
    if node.method == IMPORTED:
        return "imported: finished elsewhere"
    return f"{node.method}, without replacement{'; ' + ', '.join(shares) if shares else ''}"


def _where(node: Node) -> str:
    """Where the exploit trials of a round were drawn."""
    return "where the optimum is plausible" if node.parent else "where somebody believes it to be"


def store_name(store: str) -> str:
    """A store's name without folders, user, password or options."""
    if "://" not in store:
        return Path(store.replace("\\", "/")).name or store
    parts = urlsplit(store)
    name = parts.path.rstrip("/").rpartition("/")[2]
    if parts.scheme.startswith("sqlite"):
        return name or "in memory"
    return f"{parts.hostname or ''}/{name}"


def best_trials(facts: Facts, where: Path) -> dict[str, Any]:
    """The best trials as a table, and the best so far as a picture."""
    done, node = finished(facts), facts.node
    if not len(done):
        return {"table": None, "passed_over": passed_over(facts)}
    names = [n for n in node.space.varied if n in done.columns]
    timed = "seconds" in done.columns
    mixed = origins_text(facts) is not None
    evidence = facts.analysis.parameters if facts.analysis is not None else ()
    read = read_at(evidence, {n: done[n].to_numpy() for n in names})
    rows = []
    for i in range(min(BEST, len(done))):
        # Cell by cell, since a whole row would turn integers into floats.
        cells = ["-" if n in read and not read[n][i] else shown(done[n].iloc[i]) for n in names]
        if mixed:
            cells.append(ORIGIN_WORDS.get(done["origin"].iloc[i], done["origin"].iloc[i]))
        if timed:
            seconds = float(done["seconds"].iloc[i])
            cells.append(duration(seconds) if math.isfinite(seconds) else "-")
        rows.append([i + 1, score(float(done["value"].iloc[i])), *cells])

    def so_far() -> Any:
        may_win = facts.table.index.isin(done.index)
        return figures.best_so_far(facts.table, direction_of(facts), metric_of(facts), candidates=may_win)

    equal = int((done["value"] == done["value"].iloc[0]).sum())
    return {
        "table": values_table(
            ["rank", metric_of(facts), *names, *(["drawn"] if mixed else []), *(["time"] if timed else [])],
            rows,
        ),
        "rows": len(rows),
        "equal": plural(equal, "trial") if equal > 1 else None,
        "passed_over": plural(passed_over(facts), "trial") if passed_over(facts) else None,
        "infeasible": plural(int(barred.sum()), "trial")
        if (barred := infeasible_rows(facts.table)).any()
        else None,
        "fixed": joined([f"{n} = {bounds_text(p)}" for n, p in node.space.items() if p.fixed]) or None,
        "picture": drawn(
            "Value of every trial and the best so far", where, f"{facts.stem}/best-so-far.png", so_far
        ),
    }


def what_mattered(facts: Facts, where: Path) -> dict[str, Any] | None:
    """Correlations as a table and a picture; ``None`` without an analysis that tested anything."""
    analysis = facts.analysis
    if analysis is None or not analysis.tested:
        return None
    rows = [
        [
            e.name,
            "rank correlation" if e.correlation else "Kruskal-Wallis",
            *_effect(e),
            p_value(e.q).removeprefix("= "),
            _small(e.importance.estimate),
            _verdict(analysis, e),
        ]
        for e in analysis.ranked
    ]
    return {
        "table": values_table(
            ["parameter", "measure", "effect", "95 % interval", "q", "importance", "verdict"], rows
        ),
        "picture": drawn(
            "Correlation of every parameter with the metric",
            where,
            f"{facts.stem}/correlation.png",
            lambda: figures.correlation(analysis),
        ),
        "names": joined(that_matter(facts)) or None,
        "several": len(that_matter(facts)) > 1,
        "n": plural(analysis.n_space_filling, "finished space-filling trial"),
        "earlier": plural(analysis.n_earlier, "trial") if analysis.n_earlier else None,
        "noise": Raw(noise_clause(analysis.noise, code(analysis.metric))),
        "covered": percent(analysis.covered),
        "never_read": joined(analysis.never_read) or None,
        "caution": " ".join(sentence(c) for c in analysis.cautions if c.code in ("imported", "uneven"))
        or None,
        "alpha": number(ALPHA),
        "unordered": any(e.association for e in analysis.parameters),
    }


def _effect(e: ParameterEvidence) -> tuple[str, str]:
    if e.correlation is not None:
        c = e.correlation
        return signed(c.estimate), f"{signed(c.low)} to {signed(c.high)}"
    assert e.association is not None
    a = e.association
    return f"ε² {a.effect:.2f}", f"{a.low:.2f} to {a.high:.2f}"


def _small(value: float) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, 4) + 0.0:.4f}" if math.isfinite(value) else "-"


def _verdict(analysis: Analysis, e: ParameterEvidence) -> str:
    words = VERDICTS[analysis.findings[e.name].verdict].text
    return f"{words}; read in {percent(e.read)} of trials" if 0 < e.read < 1 else words


def untested(facts: Facts) -> str:
    """Why there is no test: results chose the trials, or too few have finished."""
    told = [] if facts.analysis is None else [c for c in facts.analysis.cautions if c.code == "untested"]
    return sentence(told[0]) if told else "Too few trials have finished for an analysis."


def decision_picture(facts: Facts, where: Path) -> Raw | None:
    """What stays of the parameters that change most; ``None`` where none does, or nothing was tested."""
    analysis, (new, word) = facts.analysis, changed_bounds(facts)
    if analysis is None or not analysis.tested or not any(e.name in new for e in analysis.parameters):
        return None
    texts = {name: next_text(facts.node.space[name], parameter) for name, parameter in new.items()}
    return drawn(
        f"What stays of the parameters that change, as {word}, over the trials and where the good ones lie",
        where,
        f"{facts.stem}/decision.png",
        partial(figures.decision, analysis, new, word, texts),
    )


def densities(facts: Facts, where: Path) -> dict[str, Any] | None:
    """Pictures of the parameters that matter or change; ``None`` without an analysis that tested anything."""
    analysis = facts.analysis
    if analysis is None or not analysis.tested:
        return None
    new, word = changed_bounds(facts)
    mattering = that_matter(facts)
    # What was proposed and turned down is shown as well: its evidence is what the decision was about.
    proposed = {c.name for c in facts.proposal.changes if c.kind != "keep"} if facts.proposal else set()
    wanted = {*mattering, *new, *proposed}
    relevant = [e.name for e in analysis.ranked if e.name in wanted]
    shown = relevant or [e.name for e in analysis.ranked[:2]]
    taken: set[str] = set()
    checks = []
    for name in shown:
        part = slug(name, taken)
        target = new.get(name)
        checks.append(
            {
                "name": name,
                "change": bounds_text(target) if target is not None else None,
                "one": drawn(
                    f"{name}: density of good trials and of all",
                    where,
                    f"{facts.stem}/density-{part}.png",
                    partial(figures.density, analysis, name, target, word),
                ),
                "two": drawn(
                    f"{name} against the metric",
                    where,
                    f"{facts.stem}/metric-{part}.png",
                    partial(figures.density_2d, analysis, name, target, word),
                ),
            }
        )
    return {
        "first": checks[:SHOWN],
        "rest": checks[SHOWN:],
        "word": word,
        "none": not relevant,
        "left_out": joined([e.name for e in analysis.parameters if e.name not in shown]) or None,
    }


def failures(facts: Facts) -> Raw | None:
    """States other than complete with their errors, or ``None``."""
    if "state" not in facts.table:
        return None
    counts = facts.table["state"].value_counts()
    bad = [s for s in STATES if s != "complete" and int(counts.get(s, 0))]
    if not bad:
        return None
    rows = []
    texts = facts.table["error"] if "error" in facts.table and "error" not in facts.node.space else None
    for state in bad:
        here = (facts.table["state"] == state).to_numpy()
        if texts is None:
            rows.append([state, int(here.sum()), _STATE_WORDS.get(state, state), "-"])
            continue
        lines = Counter(_last_line(t) for t in texts[here])
        for line, count in lines.most_common(ERRORS):
            rows.append([state, count, _STATE_WORDS.get(state, state), code(line)])
        others = sum(c for _, c in lines.most_common()[ERRORS:])
        if others:
            rows.append([state, others, _STATE_WORDS.get(state, state), "other errors"])
    return values_table(["state", "trials", "what happened", "error"], rows)


def _last_line(error: Any) -> str:
    """The line of a traceback that names the error; a plain message's only line."""
    lines = (
        [line.strip() for line in str(error).splitlines() if line.strip()] if isinstance(error, str) else []
    )
    if not lines:
        return ""
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return line if len(line) <= 160 else f"{line[:159]}…"
