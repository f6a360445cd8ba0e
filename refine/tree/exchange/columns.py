"""Columns of a table of finished runs: parameters, results, states and cells to be corrected. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.space.space import RESERVED
from refine.trials.trial import STATES, State
from refine.utils.arrays import Floats
from refine.utils.format import join, plural

if TYPE_CHECKING:
    import pandas as pd

# Words of trackers for how a run ended; ``None`` for a run that has not.
_STATE_WORDS: dict[str, str | None] = {
    **{str(state): str(state) for state in STATES},
    **dict.fromkeys(("finished", "completed", "done", "success", "succeeded", "terminated"), "complete"),
    **dict.fromkeys(("fail", "error", "errored"), "failed"),
    **dict.fromkeys(("crash", "preempted"), "crashed"),
    **dict.fromkeys(("killed", "stopped", "cancelled", "canceled"), "pruned"),
    **dict.fromkeys(("running", "pending", "queued", "scheduled", "waiting"), None),
}
# Titles of the column that says how a run ended, in any case.
_STATE_TITLES = ("state", "status")

# Titles of numbers that a run gave back, in lower case.
_RESULT = re.compile(
    r"((train|training|val|valid|validation|test|testing|dev|eval|best|final|last|mean|avg|cv|oof)[_/. -]*)*"
    r"(loss|log_?loss|nll|perplexity|ppl|bp[bcw]|error|error_rate|r?mse|mae|mape|r?msle|deviance|brier|"
    r"crps|regret|acc|accuracy|balanced_accuracy|auc|roc_auc|auroc|pr_auc|auprc|f1|f1_score|r2|r2_score|"
    r"m?iou|dice|ndcg|mrr|"
    r"bleu|rouge|psnr|ssim|fid|score|reward|episode_reward)"
    r"([_/. -]*(mean|std|avg|last|best|final|min|max|\d+))?"
)
# Titles that are results only if they hold shares: a precision of 16 is a setting.
_SHARE = re.compile(
    r"((train|val|valid|validation|test|dev|eval)[_/. -]*)?(precision|recall|specificity|sensitivity)"
)
_TIME = re.compile(
    r"_?((epoch|train|training|fit|eval|inference|total|wall|clock|elapsed|run|step)[_/. -]*)*"
    r"(time|runtime|seconds|secs|duration|elapsed|latency|timestamp|walltime)"
    r"([_/. -]*(s|ms|sec|secs|seconds|total))*"
)
_SIZE = re.compile(r"(n|num|total|trainable)_params|param(eter)?_count|g?flops|macs|peak_(gpu_)?memory(_mb)?")
# Titles of run ids, times and places.
_ABOUT_RUN = re.compile(
    r"(run|trial|experiment|exp)[_ ]?(id|name|number|uuid)|id|uuid|name|user|host|hostname|notes|tags|sweep|"
    r"(git[_ ]?)?(commit|sha)|github|created([_ ]?at)?|updated([_ ]?at)?|date|datetime|timestamp|"
    r"(start|end|started|ended|finished)[_ ]?(time|at)|_step"
)
# Titles of a count of runs, if all values differ.
_COUNTER = re.compile(r"run|trial|index|number|no|#")


class Columns(NamedTuple):
    """The columns of a table, each in its role.

    Attributes:
        parameters: Names of the parameters, in their order.
        results: Numbers that the runs gave back, besides the value.
        left_out: Columns in no role.
    """

    parameters: list[str]
    results: list[str]
    left_out: list[str]


def with_index(frame: pd.DataFrame, assigned: Collection[str] | None) -> pd.DataFrame:
    """A table whose named index levels are columns in front, and whose index counts rows.

    Args:
        frame: The table.
        assigned: Names of the columns with a role; ``None`` if the parameters are to be inferred,
            so that every named level counts but those that only tell rows apart.
    """
    import pandas as pd

    plain = frame.reset_index(drop=True)
    place = 0
    for number, name in enumerate(frame.index.names):
        if name is None or str(name) in plain.columns:
            continue
        level = pd.Series(frame.index.get_level_values(number).to_numpy())
        if str(name) in assigned if assigned is not None else not _tells_rows_apart(level):
            plain.insert(place, str(name), level)
            place += 1
    return plain


def _tells_rows_apart(column: pd.Series) -> bool:
    """True if a column only numbers or names the rows."""
    import pandas as pd

    if not column.is_unique:
        return False
    if not pd.api.types.is_numeric_dtype(column):
        return True
    numbers = column.to_numpy(dtype=float)
    return bool((np.diff(numbers) == 1).all())


def columns_of(frame: pd.DataFrame, value: str, reserved: Collection[str]) -> Columns:
    """The roles of the columns of a table, by their names and kinds, if nobody named the parameters.

    Args:
        frame: The table.
        value: Name of the column of the value.
        reserved: Names of columns that have a role already.
    """
    import pandas as pd

    parameters = []
    results = []
    left_out = []
    for name in frame.columns:
        if name == value or name in reserved:
            continue
        column = frame[name]
        title = str(name).strip().lower()
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        about_run = pd.api.types.is_datetime64_any_dtype(column) or _ABOUT_RUN.fullmatch(title)
        is_result = any(pattern.fullmatch(title) for pattern in (_RESULT, _TIME, _SIZE))
        if numeric and _SHARE.fullmatch(title):
            is_result = bool(column.dropna().between(0, 1).all())
        if about_run or (_COUNTER.fullmatch(title) and column.is_unique):
            left_out.append(name)
        elif numeric and is_result:
            results.append(name)
        else:
            parameters.append(name)
    return Columns(parameters, results, left_out)


def roles_said(columns: Columns, value: str) -> str:
    """A sentence on the roles of the columns; empty if only parameters remain."""
    if not columns.results and not columns.left_out:
        return ""
    sentence = (
        f"{join(columns.parameters)} {'are' if len(columns.parameters) > 1 else 'is'} taken as parameters"
    )
    if len(columns.parameters) == 1:
        sentence = f"{columns.parameters[0]} is taken as the parameter"
    sentence += f", {value} as the value"
    sentence += f", {join(columns.results)} as further results" if columns.results else ""
    sentence += (
        f"; {join(columns.left_out)} {'are' if len(columns.left_out) > 1 else 'is'} left out"
        if columns.left_out
        else ""
    )
    return f"{sentence}; to choose yourself, give parameters=[...]"


def without_empty_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows of a table that are not empty, and a phrase on the empty ones."""
    empty = (frame.isna() | frame.map(lambda cell: isinstance(cell, str) and not cell.strip())).all(axis=1)
    if not empty.any():
        return frame, ""
    filled = frame[~empty].reset_index(drop=True)
    # An empty row makes whole numbers floats.
    for place, kind in enumerate(filled.dtypes):
        column = filled.iloc[:, place]
        if str(kind) != "float64" or not np.isfinite(column).all() or (column != column.round()).any():
            continue
        if column.abs().max() < 2**53:
            filled.isetitem(place, column.astype("int64").to_numpy())
    return filled, plural(int(empty.sum()), "empty row")


def state_column(frame: pd.DataFrame, assigned: Collection[str]) -> str | None:
    """Name of the column of states: ``state``, else one titled state or status in any case.

    Args:
        frame: The table.
        assigned: Names of columns with another role.
    """
    if "state" in frame:
        return "state"
    for name in frame.columns:
        if str(name).strip().lower() in _STATE_TITLES and name not in assigned:
            words = {str(text).strip().lower() for text in frame[name].dropna()}
            if words & _STATE_WORDS.keys():
                return str(name)
    return None


def states_of(column: pd.Series) -> list[str | None]:
    """States of trials by the words of trackers; ``None`` for runs that have not ended.

    Raises:
        AnalysisError: A word with another meaning.
    """
    out = []
    for text in column:
        word = str(text).strip().lower()
        if word not in _STATE_WORDS:
            allowed = [str(state) for state in STATES if state != State.RUNNING]
            raise AnalysisError(
                f"state must be one of {', '.join(allowed)}, got {text!r}; correct it, or leave the row out"
            )
        out.append(_STATE_WORDS[word])
    return out


# Cells that mean something else.

_TRUTH = {"true": True, "false": False}


def numbers_of_texts(column: pd.Series) -> pd.Series | None:
    """Numbers, or True and False, from a column of texts; ``None`` if a text is neither."""
    import pandas as pd

    cells = column.dropna()
    if cells.empty or not all(isinstance(text, str) for text in cells):
        return None
    texts = cells.str.strip()
    if set(texts.str.lower()) <= _TRUTH.keys():
        return texts.str.lower().map(_TRUTH).astype(object).reindex(column.index)
    if texts.str.match(r"[+-]?0\d").any():  # a code such as 007
        return None
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    if not np.isfinite(numbers.to_numpy()).all():
        return None
    if texts.str.fullmatch(r"[+-]?\d+").all() and len(cells) == len(column):
        return pd.to_numeric(texts).astype("int64", errors="ignore")
    return numbers.reindex(column.index)


def one_spelling(column: pd.Series) -> tuple[pd.Series, list[list[str]]]:
    """A column with one spelling per text, the most frequent, and the groups of merged spellings."""
    spellings: dict[str, Counter[str]] = {}
    for text in column:
        if isinstance(text, str):
            spellings.setdefault(text.strip().casefold(), Counter())[text] += 1
    several = [
        list(counter)
        for counter in spellings.values()
        if len(counter) > 1 or next(iter(counter)) != next(iter(counter)).strip()
    ]
    if not several:
        return column, []
    chosen = {
        text: counter.most_common(1)[0][0].strip() for counter in spellings.values() for text in counter
    }
    return column.map(lambda cell: chosen.get(cell, cell) if isinstance(cell, str) else cell), several


_NINES = re.compile(r"9{4,}")
_FAR = 10.0  # times the largest other value
_LEAST_OTHERS = 5


def placeholders(values: Floats) -> Floats:
    """Placeholders for missing numbers: 9999 or -9999 far from all others, or -1 among shares.

    Args:
        values: The column, NaN for missing.

    Returns:
        The different placeholders, sorted; empty if none.
    """
    finite = values[np.isfinite(values)]
    nines = np.array([bool(_NINES.fullmatch(f"{abs(v):.0f}")) and v == round(v) for v in finite], dtype=bool)
    ordinary = finite[~nines & (finite != -1)]
    if len(ordinary) < _LEAST_OTHERS:
        return np.zeros(0)
    is_far = np.abs(finite) >= _FAR * np.abs(ordinary).max()
    minus = (finite == -1) & bool(ordinary.min() >= 0 and ordinary.max() <= 1 and len(set(ordinary)) > 2)
    return np.unique(finite[nines & is_far | minus])


def numbers_text(numbers: Sequence[float]) -> str:
    """A list of numbers as text: ``1000000 and -999``."""
    return join([f"{v:.0f}" if math.isfinite(v) and v == round(v) else f"{v:g}" for v in numbers])


def taken_names(
    value: str, space: Collection[str] | None, parameters: Sequence[str] | None
) -> frozenset[str]:
    """Names of columns with a role."""
    return frozenset([value, *(space or ()), *(parameters or ()), *RESERVED])
