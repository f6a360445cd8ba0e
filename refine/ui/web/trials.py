"""The trials of a round on the review page: a list to sort and filter, single trials, and exclusions.

The page formats no number: every text about a trial is made here, without an analysis.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.errors import ReviewError, did_you_mean
from refine.report.glossary import terms
from refine.space.categorical import Categorical
from refine.tree.excluding import Exclusion, exclusions_of, mark_trials
from refine.trials.frame import may_be_best, metric_title, table
from refine.trials.goal import Goal
from refine.trials.trial import EXCLUDED, error_line
from refine.ui.web.messages import Content, Message
from refine.utils.arrays import Bools, Floats
from refine.utils.format import duration, number, plural, score

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.space.space import Space
    from refine.tree.round import Round
    from refine.trials.metric import Curve

# Largest number of rows of a list; sorting and filters reach the others.
LISTED = 200_000

_AT_ONCE = 100  # rows of an answer
_LEVELS = 24  # a column of more different texts is filtered by parts of the texts
_POINTS = 160  # points of a learning curve, as many as a card can show
_LONGEST = 300  # letters of an error
_MOST_READ = 3  # number of rounds whose trials stay in memory

_OWN = ("state", "value", "seconds", "seed", "cell", "origin")
_ORIGINS = {
    "given": "Given trial",
    "space_filling": "Space-filling trial",
    "exploit": "Exploit trial",
    "audit": "Audit trial",
    "probe": "Audit trial",
    "adaptive": "Adaptive trial",
    "imported": "Adaptive trial",
}


class Column(NamedTuple):
    """A column of the list."""

    name: str  # title in the table of trials
    title: str  # the text above the column
    # ``"number"``, filtered by two ends; ``"choice"``, by a level; ``"text"``, by a part of the text
    kind: str
    levels: tuple[str, ...] = ()  # levels of a choice


@dataclass(frozen=True, eq=False)
class Sheet:
    """The trials of a round, by their numbers: their rows in :attr:`refine.Round.trials`."""

    frame: pd.DataFrame  # the rows
    columns: Mapping[str, list[Any]]  # stored columns ``key``, ``attempt`` and ``error``
    space: Space  # the space of the round
    goal: Goal  # the goal of the round
    exclusions: Mapping[int, Exclusion]  # number of an excluded trial -> the exclusion

    @cached_property
    def usable(self) -> Bools:
        """(n,) mask of trials that may be called best."""
        return may_be_best(self.frame, self.space, self.goal.allow_degenerate)

    @cached_property
    def scores(self) -> Floats:
        """(n,) values; NaN for trials without a value."""
        return np.asarray(self.frame["value"], dtype=float)

    @cached_property
    def ranks(self) -> npt.NDArray[np.int64]:
        """(n,) ranks by value among usable trials, from 1; ties share the first rank; 0 without a rank."""
        from scipy.stats import rankdata

        ranks = np.zeros(len(self.frame), dtype=np.int64)
        ranks[self.usable] = rankdata(-self.goal.sign * self.scores[self.usable], method="min")
        return ranks

    @cached_property
    def shown(self) -> tuple[Column, ...]:
        """The columns of the list besides the number, the value first."""
        names = ["value", "state", "origin", "seconds", *self.space.varied]
        metrics = [n for n in self.frame.columns if n not in (*names, *_OWN, *self.space)]
        metric = self.goal.metric
        if metric.reduction == "last":  # the value is this metric
            metrics = [n for n in metrics if n != metric_title(metric.name, self.space)]
        return tuple(self._column(n) for n in [*names, *metrics])

    def _column(self, name: str) -> Column:
        cells = self.frame[name]
        parameter = self.space.get(name)
        labels: tuple[str, ...] = ()
        if isinstance(parameter, Categorical):
            labels = parameter.labels
        title = name
        if name == "value":
            title = str(self.goal.metric)
        if cells.dtype.kind in "iuf" and not labels:
            return Column(name, title, "number")
        texts = sorted(set(cells)) if name in _OWN else map(str, dict.fromkeys(cells.head(10_000)))
        levels = labels or tuple(texts)
        if len(levels) > _LEVELS:
            return Column(name, title, "text")
        return Column(name, title, "choice", levels)

    def text(self, name: str, i: int) -> str:
        """The text in a column of a trial."""
        value: object = self.frame[name].to_numpy()[i]
        if value is None or value != value:  # NaN is no value either
            return ""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return str(value)
        if name == "seconds" and name not in self.space:
            return duration(float(value))
        if name in self.space:
            return number(float(value), 6)
        return score(float(value))


def rows_of(sheet: Sheet, analysis: Analysis) -> npt.NDArray[np.uint32]:
    """(n,) numbers of the trials of an analysis, in the order of its table.

    Raises:
        ReviewError: The trials changed after the analysis.
    """
    inside = np.flatnonzero(sheet.space.contains(sheet.frame))
    table = analysis.table
    inside = inside[(sheet.frame["state"] != EXCLUDED).to_numpy()[inside]]
    seeds = sheet.frame["seed"].to_numpy()
    n = len(table)
    if len(inside) < n or not np.array_equal(seeds[inside[:n]], table["seed"].to_numpy()):
        raise ReviewError("the trials of this round changed after the page was drawn; reload the page")
    return inside[:n].astype("<u4")


# The list.


def list_content(sheet: Sheet) -> Content:
    """The columns of the list, and the number of trials."""
    return {
        "n": len(sheet.frame),
        "columns": [column._asdict() for column in sheet.shown],
        "order": {"by": "value", "descending": sheet.goal.sign > 0},
    }


_FILTERS: Mapping[str, Callable[[pd.Series, Any], pd.Series]] = {
    "low": lambda cells, end: cells.astype(float) >= end,
    "high": lambda cells, end: cells.astype(float) <= end,
    "is": lambda cells, level: cells.astype(str) == level,
    "holds": lambda cells, text: cells.astype(str).str.contains(text, case=False, regex=False),
}
_TAKES = {"number": ("low", "high"), "choice": ("is",), "text": ("holds",)}


def part_content(sheet: Sheet, message: Message) -> dict[str, Any]:
    """Rows of the list as texts, filtered, and sorted by a column or ``"number"``; missing values last.

    Raises:
        ReviewError: An unknown column, or an invalid filter.
    """
    columns = {c.name: c for c in sheet.shown}
    frame = sheet.frame
    sort_column: str = message.get("by", "value")
    filters = message.get("filters", {})
    offset = message.get("offset", 0)
    ascending = not message.get("descending")
    if offset < 0:
        raise ReviewError(f"offset must be a whole number >= 0, got {offset!r}")
    for name in filters if sort_column == "number" else (sort_column, *filters):
        if name not in columns:
            raise ReviewError(f"no column {name!r}; {did_you_mean(str(name), ['number', *columns])}")
    rows = frame.reset_index(drop=True)
    for name, conditions in filters.items():
        takes = _TAKES[columns[name].kind]
        for key, bound in conditions.items():
            if key not in takes:
                raise ReviewError(f"filter of {name}: takes {' and '.join(takes)}, got {key!r}")
            rows = rows[_FILTERS[key](rows[name], bound)]
    if sort_column == "number":
        numbers = rows.sort_index(ascending=ascending).index
    else:
        cells = rows[sort_column]
        numbers = cells.sort_values(ascending=ascending, kind="stable", na_position="last").index
    listed = min(len(rows), LISTED)
    text = plural(len(frame), "trial")
    if len(rows) < len(frame):
        text = f"{len(rows):,} of {text}"
    if listed < len(rows):
        text += f"; the first {listed:,} are listed"
    return {
        "total": len(rows),
        "listed": listed,
        "text": text,
        "offset": offset,
        "rows": [
            {
                "number": int(i),
                "cells": [sheet.text(name, i) for name in columns],
                "usable": bool(sheet.usable[i]),
            }
            for i in numbers[offset : min(listed, offset + _AT_ONCE)]
        ],
    }


# One trial.


def trial_content(sheet: Sheet, i: int, curve: Curve | None) -> Content:
    """One trial in full, with its learning curve."""
    exclusion = sheet.exclusions.get(i)
    origin = sheet.text("origin", i)
    meaning = ""
    if origin in _ORIGINS:
        meaning = terms()[_ORIGINS[origin]].plain
    metrics = [c.name for c in sheet.shown if c.name not in (*_OWN, *sheet.space)]
    metric_name = metric_title(sheet.goal.metric.name, sheet.space)
    if exclusion is not None and metric_name in sheet.frame and metric_name not in metrics:
        metrics.insert(0, metric_name)  # an excluded trial has no value; its metric stands in
    return {
        "number": i,
        "key": sheet.columns["key"][i],
        "title": f"Trial {i:,}",
        "value": f"{sheet.goal.metric} {sheet.text('value', i) or '-'}",
        "rank": _rank_text(sheet, i, exclusion),
        "usable": bool(sheet.usable[i]),
        "facts": [
            _fact("state", sheet.text("state", i)),
            _fact("time", sheet.text("seconds", i)),
            _fact("origin", origin.replace("_", "-"), meaning),
        ],
        "configuration": [_fact(n, sheet.text(n, i)) for n in sheet.space if sheet.text(n, i)],
        "metrics": [_fact(n, sheet.text(n, i)) for n in metrics if sheet.text(n, i)],
        "curve": None if not curve else curve_content(curve, sheet),
        "failure": error_line(sheet.columns["error"][i])[:_LONGEST],
        "excluded": exclusion is not None,
    }


def _fact(name: str, text: str, title: str = "") -> dict[str, str]:
    return {"name": name, "text": text, "title": title}


def _rank_text(sheet: Sheet, i: int, exclusion: Exclusion | None) -> str:
    if exclusion is not None:
        return f"excluded by {exclusion.author}: {exclusion.reason}"
    if not sheet.ranks[i]:
        if math.isfinite(sheet.scores[i]):
            return "cannot be called best"
        return "without a value"
    return f"rank {sheet.ranks[i]:,} of {int(sheet.usable.sum()):,}"


def curve_content(curve: Curve, sheet: Sheet) -> Content | None:
    """A learning curve as numbers and as a sentence: of the metric, else of a loss, else the first curve."""
    candidates = [sheet.goal.metric.name, "val_loss", "loss", *curve]
    name = next((n for n in candidates if len(curve.get(n, ())) > 1), None)
    if name is None:
        return None
    values = np.asarray(curve[name], dtype=float)
    finite = np.isfinite(values)
    if finite.sum() < 2:
        return None
    epochs = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))
    ends = f"from {score(values[finite][0])} to {score(values[finite][-1])}"
    low = float(values[finite].min())
    high = float(values[finite].max())
    return {
        "name": name,
        "values": [float(v) if math.isfinite(v) else None for v in values[epochs]],
        "low": low,
        "high": high,
        "text": f"{name} by epoch, {len(values):,} epochs: {ends}, between {score(low)} and {score(high)}",
        "short": f"{name}: {ends} in {len(values):,} epochs",
    }


# Reading and excluding.


class Sheets:
    """A cache of the trials of a page's rounds: a round is read again if its trials changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: list[tuple[tuple[str, str], Sheet]] = []  # most recently used last

    def of(self, round_: Round, version: str) -> Sheet:
        """The trials of a round; read again if ``version``, of trials and exclusions, changed."""
        with self._lock:
            key = round_.id, version
            sheet = next((s for k, s in self._read if k == key), None) or read_sheet(round_)
            self._read = [*((k, s) for k, s in self._read if k[0] != round_.id), (key, sheet)][-_MOST_READ:]
            return sheet


def read_sheet(round_: Round) -> Sheet:
    """Reads the trials of a round."""
    reader = round_._context.reader
    pk = round_._stored.pk
    records = reader.records([pk], curves=round_._metric.curves)
    frame = table(round_.space, records, round_._metric)
    columns = {name: records.columns[name] for name in ("key", "attempt", "error")}
    exclusions = exclusions_of(reader.marks(pk), columns)
    return Sheet(frame, columns, round_.space, round_._goal, exclusions)


def one_trial(round_: Round, sheet: Sheet, number: int) -> Content:
    """One trial in full, with its learning curve.

    Raises:
        ReviewError: The round has no such trial.
    """
    _check_number(round_, sheet, number)
    key = sheet.columns["key"][number]
    return trial_content(sheet, number, round_._context.reader.curves(round_._stored.pk, [key]).get(key))


def _check_number(round_: Round, sheet: Sheet, number: int) -> None:
    """Raises a ReviewError if a round has no trial with this number."""
    n = len(sheet.frame)
    if not 0 <= number < n:
        raise ReviewError(f"round {round_.id} has no trial {number!r}; it has {n:,}, numbered from 0")


def exclude(round_: Round, sheet: Sheet, message: Message) -> str:
    """Excludes a trial or includes the trial again, and returns a message for the person.

    Raises:
        ReviewError: The round has no such trial, the trial was replaced, or a reason is missing.
    """
    number = message["number"]
    excluded = message["excluded"]
    _check_number(round_, sheet, number)
    key = sheet.columns["key"][number]
    if message["key"] != key:
        raise ReviewError(
            f"trial {number} of round {round_.id} was replaced since the page was drawn; reload the page"
        )
    trial = key, int(sheet.columns["attempt"][number])
    mark_trials(round_, [trial], excluded, message.get("reason", ""))
    if excluded:
        return f"Trial {number:,} is excluded: no analysis uses it from now on."
    return f"Trial {number:,} counts again."
