"""Which module reads which tool's runs; each is loaded when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from refine.errors import AnalysisError, RefineError, did_you_mean
from refine.space.space import Space
from refine.store.sound import BROKEN, said
from refine.tree.exchange.cells import without_secret
from refine.tree.exchange.runs import Found, Reading, Runs, runs_from
from refine.utils.warning import warn

KINDS = ("wandb", "mlflow", "optuna", "tensorboard", "kerastuner", "raytune")


def read_source(
    source: str,
    kind: str,
    experiment: str | None,
    space: Space | Mapping[str, Any] | None,
    parameters: Sequence[str] | None,
    value: str | None,
) -> Runs:
    """What is read of a source: see :meth:`refine.Tree.read_runs`."""
    if kind not in KINDS:
        raise AnalysisError(
            f"kind must be one of {', '.join(KINDS)}, got {kind!r}; {did_you_mean(str(kind), KINDS)}"
        )
    if experiment is not None and kind not in ("mlflow", "optuna"):
        raise AnalysisError(
            f"experiment is for mlflow and optuna, got {experiment!r} with {kind}; leave it out"
        )
    known = space if space is None or isinstance(space, Space) else Space(space)
    asked = Reading(source, experiment, parameters if known is None else list(known), value)
    shown = without_secret(source)
    try:
        found: Found = import_module(f"refine.tree.exchange.{kind}").read(asked)
        return runs_from(kind, shown, found, space=known, parameters=parameters, value=value)
    except RefineError:
        raise
    except BROKEN as error:  # of a file that somebody else wrote
        raise AnalysisError(f"{shown}: is not what {kind} writes: {said(error)}; export it again") from None


def warn_left_out(found: Runs) -> None:
    """Warns of runs that are left out, and why."""
    counts = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
    warn(
        f"{found.source}: {sum(found.left_out.values())} of its runs are left out: {counts}; "
        f"tree.read_runs(..., {found.kind!r}) shows all that is read"
    )
