"""The design of a round: a space-filling one, a sampler of Optuna by name, or a sampler object."""

from __future__ import annotations

import contextlib
import inspect
import math
import warnings
from collections.abc import Iterator

from refine.design.space_filling import DESIGNS, how_many
from refine.errors import DesignError, did_you_mean
from refine.space.parameters import Float, Integer
from refine.space.space import Space
from refine.trials.round_record import ADAPTIVE, OPTUNA
from refine.utils.extras import needed
from refine.utils.numbers import is_whole

# Design -> the package that it needs besides Optuna.
_NEEDS = {"gp": "torch", "cmaes": "cmaes"}


def design_of(design: object) -> tuple[str, object]:
    """The name of a design, and the sampler object of Optuna, if given.

    Raises:
        DesignError: Not a design, or a package needed for the design is missing.
    """
    if isinstance(design, str):
        if design in DESIGNS:
            return design, None
        if design in ADAPTIVE:
            check_needs(design)
            return design, None
        raise DesignError(f"design: unknown design {design!r}; {did_you_mean(design, [*DESIGNS, *ADAPTIVE])}")
    if not callable(getattr(design, "sample_independent", None)) or inspect.isclass(design):
        raise DesignError(
            f"design must be one of {', '.join([*DESIGNS, *ADAPTIVE])}, or a sampler of Optuna, for example "
            f"optuna.samplers.TPESampler(), got {design!r}"
        )
    return described(design), design


def check_needs(method: str) -> None:
    """Raises DesignError if a package needed for a design is not installed."""
    if method not in ADAPTIVE:
        return
    needed("optuna", f"design {method!r}", DesignError, "design='sobol' needs nothing more")
    if method in _NEEDS:
        needed(_NEEDS[method], f"design {method!r}", DesignError, "design='tpe' needs only Optuna")


def described(tool: object) -> str:
    """A sampler or pruner of Optuna in words: its class, and the options that differ from their defaults.

    The text is part of a round's identity. The seed, options about warnings, and options that the object does
    not keep under their names are left out.
    """
    kind = type(tool)
    if kind.__module__.startswith("optuna."):
        module = ""
    else:
        module = f"{kind.__module__}."
    if not hasattr(tool, "__dict__"):
        return repr(tool)  # a number or a text, which no round has
    attributes = vars(tool)
    options = []
    for name, parameter in inspect.signature(kind).parameters.items():
        value = attributes.get(f"_{name}", attributes.get(name, parameter.default))
        plain = value is None or isinstance(value, bool | int | float | str)
        if name != "seed" and not name.startswith("warn") and plain and value != parameter.default:
            options.append(f"{name}={value!r}")
    return f"{OPTUNA}{module}{kind.__qualname__}({', '.join(options)})"


def how_many_asked(space: Space, n: int | None, downsample: float | None, used: int = 0) -> int:
    """Like :func:`refine.design.space_filling.how_many`, for an adaptive round, which leaves the grid."""
    if n is None or downsample is not None or not is_whole(n):
        return how_many(space, n, downsample, used)
    if not any(isinstance(space[name], Float) for name in space.varied):
        sizes = [
            parameter.high - parameter.low + 1
            if isinstance(parameter, Integer) and parameter.lattice is None
            else parameter.size
            for parameter in space.values()
        ]
        total = math.prod(sizes)
        if n > total - used:
            raise DesignError(
                f"n must be <= the number of configurations left, got {n:,}, but {total:,} exist and earlier "
                f"rounds ran {used:,}; ask for n={max(0, total - used)} or fewer"
            )
    return n


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silences Optuna's log, and its warnings about experimental features."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
