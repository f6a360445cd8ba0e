"""Designs: the order in which a round visits the cells of a grid. Lazy, seeded, without replacement.

The grid is never built. Designs are prefix-stable: the first 200 of 400 cells are the 200 cells of the
smaller round.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from refine.errors import DesignError, did_you_mean
from refine.space.space import Indices, Space, configuration_key
from refine.stats.coverage import wilson
from refine.trials.budget import BudgetState
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Floats, Ints
from refine.utils.format import inflected

IMPORTED = "imported"
"""Method of a round whose trials were finished elsewhere: it visits no cells of its own."""

EXACT_UP_TO = 1_000_000
"""Grids of at most this many cells are counted cell by cell where there are constraints."""

_BLOCK = 1024
_MOST_DRAWS = 20_000_000
_SAMPLE = 100_000
_SOBOL_BITS = 30
_ROUNDS = 6  # of the keyed bijection
_DIGEST = 16  # bytes of a hash there
_KEPT_BITS = 16  # widest half whose hashed values are kept


class Design(ABC):
    """An order in which the cells of a grid are visited.

    Extension point: a design only has :meth:`blocks`; :func:`draw` checks constraints, skips and counts.
    """

    method: ClassVar[str]

    @abstractmethod
    def blocks(self, space: Space, seed: int) -> Iterator[Indices]:
        """Level numbers of shape (block, parameters): every cell of the grid once, in the design's order."""


@final
@dataclass(frozen=True)
class Uniform(Design):
    """A keyed shuffle of the cell numbers, without storing the order; every order is equally likely.

    A Feistel network over the next power of two, walked until it lands inside the grid (Black and Rogaway
    2002, 'Ciphers with Arbitrary Finite Domains').
    """

    method: ClassVar[str] = "uniform"

    def blocks(self, space: Space, seed: int) -> Iterator[Indices]:
        """Cells in keyed order."""
        bits = max(2, (space.cells - 1).bit_length())
        mix = _feistel(bits, seed)
        cells = (cell for start in range(1 << bits) if (cell := mix(start)) < space.cells)
        while block := list(islice(cells, _BLOCK)):
            if space.cells < 2**62:
                yield np.stack(np.unravel_index(np.array(block), space.radices), axis=1).astype(np.int64)
            else:
                yield np.array([space.indices(cell) for cell in block], dtype=np.int64)


@final
@dataclass(frozen=True)
class Sobol(Design):
    """Scrambled Sobol' points snapped to levels: every axis, alone and in pairs, is balanced.

    A point in a visited cell is skipped. After as many points as the grid has cells (the next power of two),
    the remaining cells follow in the keyed order of :class:`Uniform`. Sobol' 1967; scrambling by Matousek
    1998, as in ``scipy.stats.qmc``.
    """

    method: ClassVar[str] = "sobol"

    def blocks(self, space: Space, seed: int) -> Iterator[Indices]:
        """Cells in the order of the sequence. Raises DesignError: more than 21,201 varied parameters."""
        varied = [j for j, radix in enumerate(space.radices) if radix > 1]
        radices = np.array([space.radices[j] for j in varied])

        def levels(points: Floats) -> Ints:
            return np.asarray(np.minimum((points * radices).astype(np.int64), radices - 1))

        yield from _snapped(space, seed, varied, levels)


@final
@dataclass(frozen=True)
class Weighted(Design):
    """Scrambled Sobol' points mapped by quantiles of a density, so that levels are drawn in proportion.

    Not a design of rounds: the sample is not even, and no test uses it.
    """

    method: ClassVar[str] = "weighted"
    shares: Sequence[Floats]  # per parameter of the space the probability of every level, each sum 1

    def blocks(self, space: Space, seed: int) -> Iterator[Indices]:
        """Cells in the order of the sequence, the likeliest levels most often."""
        varied = [j for j, radix in enumerate(space.radices) if radix > 1]
        upper = [np.cumsum(self.shares[j])[:-1] for j in varied]

        def levels(points: Floats) -> Ints:
            positions = [np.searchsorted(u, points[:, k], side="right") for k, u in enumerate(upper)]
            return np.stack(positions, axis=1).astype(np.int64)

        yield from _snapped(space, seed, varied, levels)


def _snapped(
    space: Space, seed: int, varied: list[int], levels: Callable[[Floats], Ints]
) -> Iterator[Indices]:
    """Every cell once: scrambled Sobol' points snapped to levels, then the remaining cells in keyed order."""
    from scipy.stats import qmc

    if len(varied) > qmc.Sobol.MAXDIM:
        raise DesignError(
            f"design 'sobol' has at most {qmc.Sobol.MAXDIM} dimensions, got {len(varied)} varied parameters; "
            "use design='uniform'"
        )
    visited: set[object] = set()
    if varied:
        engine = qmc.Sobol(len(varied), scramble=True, rng=np.random.Generator(np.random.PCG64(seed)))
        points = 1 << min(_SOBOL_BITS, max(1, (space.cells - 1).bit_length()))
        drawn = 0
        while drawn < points and len(visited) < space.cells:
            block = min(_BLOCK, points - drawn)
            drawn += block
            rows = np.zeros((block, len(space)), dtype=np.int64)
            rows[:, varied] = levels(engine.random(block))
            yield _unseen(rows, space, visited)
    if len(visited) < space.cells:
        for remaining in Uniform().blocks(space, seed):
            yield _unseen(remaining, space, visited)


DESIGNS: dict[str, Design] = {d.method: d for d in (Sobol(), Uniform())}


def design_named(method: str) -> Design:
    """The design with a name. Raises DesignError: an unknown name, or the name for imported rounds."""
    if method == IMPORTED:
        raise DesignError(
            "an imported round has nothing to run: its trials were finished elsewhere; make a child and run "
            "that",
            Action("round.propose"),
            Action("round.branch", Symbol("space"), n=...),
        )
    if method not in DESIGNS:
        raise DesignError(f"design: unknown design {method!r}; {did_you_mean(str(method), DESIGNS)}")
    return DESIGNS[method]


def draw(design: Design, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()) -> Indices:
    """The first ``n`` configurations of a design that meet the constraints.

    Args:
        design: The order.
        space: The grid.
        n: Number of cells.
        seed: Non-negative; different seeds give different orders.
        skip: Keys (:func:`refine.space.space.configuration_key`) of configurations to skip.

    Returns:
        (n, parameters) level numbers.

    Raises:
        DesignError: Fewer than ``n`` such cells exist.
    """
    rows_found: list[Indices] = []
    missing = n
    visited = 0
    visited_cells: set[object] = set()
    for block in design.blocks(space, seed):
        visited += len(block)
        if space.conditions:
            # Cells that differ in what they have not are one configuration: the first of them stands for all.
            block = _unseen(space.canonical(block), space, visited_cells)
        rows = block[space.valid(block)]
        if skip:
            # Hashes take most of the time: no row beyond the last that is needed gets one.
            unskipped = (
                i for i, row in enumerate(rows) if configuration_key(space.frozen_at(row)) not in skip
            )
            rows = rows[list(islice(unskipped, missing))]
        # 100,000 rows of 40 parameters: 16 MB, not 32.
        rows_found.append(rows[:missing].astype(np.int32))
        missing -= len(rows_found[-1])
        if missing == 0 or visited >= _MOST_DRAWS:
            break
    if missing:
        if visited >= space.cells:
            ended = "that is all there are"
        else:
            ended = f"among {visited:,} cells looked at"
        raise DesignError(
            f"{n:,} configurations were asked for, but only {n - missing:,} that meet the constraints and "
            f"have not been run were found; {ended}; ask for fewer or relax a constraint"
        )
    if rows_found:
        return np.concatenate(rows_found)
    return np.zeros((0, len(space)), dtype=np.int32)


class Feasible(NamedTuple):
    """The number of configurations of a space that meet the constraints."""

    count: int  # type: ignore[assignment]  # hides tuple.count; the number, or the best estimate of it
    low: int  # lower end of the 95 % Wilson interval; equal to count where exact
    high: int  # upper end
    exact: bool  # whether it was counted

    def __str__(self) -> str:
        if self.exact:
            return f"{self.count:,}"
        return f"about {self.count:.3g} (95 % interval {self.low:.3g} to {self.high:.3g})"


@lru_cache(maxsize=128)
def feasible(space: Space, seed: int = 0) -> Feasible:
    """The number of configurations that meet the constraints, counted once per space.

    Exact without constraints or up to 10^6 cells, otherwise estimated from 100,000 random cells.
    """
    if not space.constraints:
        return Feasible(space.size, space.size, space.size, exact=True)
    if space.cells <= EXACT_UP_TO:
        count = 0
        for start in range(0, space.cells, _SAMPLE):
            cells = np.arange(start, min(start + _SAMPLE, space.cells))
            rows = np.stack(np.unravel_index(cells, space.radices), axis=1)
            count += int(space.valid(rows).sum())
        return Feasible(count, count, count, exact=True)
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = rng.integers(0, space.radices, size=(_SAMPLE, len(space)))
    hits = int(space.valid(rows).sum())
    ends = wilson(hits, _SAMPLE)
    # As integers, since no float holds 5^40 exactly.
    shares = [round(float(s) * 10**15) for s in (hits / _SAMPLE, ends.low, ends.high)]
    estimate, low, high = (share * space.cells // 10**15 for share in shares)
    return Feasible(estimate, low, high, exact=False)


def check_size(n: object) -> None:
    """Raises DesignError: ``n`` is not a whole number >= 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise DesignError(f"n must be a whole number, got {n!r}; for a share use downsample=")
    if n < 1:
        raise DesignError(f"n must be >= 1, got {n}")


def enough_for(budget: BudgetState, spaces: Sequence[Space]) -> BudgetState:
    """A budget; with the configurations of the largest space if the training time left is enough for more."""
    n_left = budget.left
    if not isinstance(budget.limit, str) or n_left is None or any(s.size >= n_left for s in spaces):
        return budget
    return replace(budget, configurations=max((feasible(s).high for s in spaces), default=None))


def how_many(space: Space, n: int | None, downsample: float | None, used: int = 0) -> int:
    """The number of configurations a person asked for, checked against the number of existing ones.

    Args:
        space: The grid.
        n: A number. Give ``n`` or ``downsample``.
        downsample: A share in (0, 1] of the remaining configurations.
        used: Number of configurations of the space already run; minus the number of given ones outside.

    Raises:
        DesignError: Both or neither given, or out of range.
    """
    if (n is None) == (downsample is None):
        if n is not None:
            passed = "both"
        else:
            passed = "neither"
        raise DesignError(
            f"pass n= (a number of configurations) or downsample= (a share of them), got {passed}"
        )
    exist = feasible(space)
    if not exist.high:
        alone = [c for c in space.constraints if not feasible(Space(dict(space), [str(c)])).high]
        if alone:
            culprit = f"the constraint {str(alone[0])!r}"
        else:
            culprit = "all constraints together"
        raise DesignError(
            f"no configuration meets {culprit}; relax a constraint, or give parameters more levels"
        )
    remaining = exist.count - used
    if n is None:
        share = downsample
        if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share <= 1:
            raise DesignError(
                f"downsample must be a share > 0 and <= 1, got {downsample!r}; 0.01 runs one in a hundred, "
                "n= takes a number"
            )
        if remaining < 1:
            raise DesignError(f"no configuration is left to run: {exist} exist, {used:,} were run")
        return max(1, round(float(share) * remaining))
    check_size(n)
    if n > (exist.high - used):
        run = ""
        if used > 0:
            run = f" and {used:,} ran or {inflected(used, 'is', 'are')} planned"
        elif used < 0:
            run = f" and {-used:,} outside the grid {inflected(-used, 'is', 'are')} given"
        fix = "give ranges more levels"
        if exist.exact and exist.count > used:
            fix = f"ask for n={exist.count - used} or fewer, or {fix}"
        raise DesignError(
            f"n must be <= the number of configurations left, got {n:,}, but {exist} exist{run}; {fix}"
        )
    return int(n)


def _unseen(rows: Indices, space: Space, visited: set[Any]) -> Indices:
    """Rows of configurations not in ``visited``; adds them to ``visited``."""
    if space.cells < 2**62:
        weights = np.cumprod([1, *space.radices[:0:-1]])[::-1]
        keys = (rows @ weights).tolist()
    else:
        # Rows as bytes: no fixed-width integer holds the cell number.
        small = rows.astype(np.uint16 if max(space.radices) < 2**16 else np.uint64)
        keys = [row.tobytes() for row in small]
    new_rows = {key: i for i, key in reversed(list(enumerate(keys))) if key not in visited}
    visited.update(new_rows)
    return rows[sorted(new_rows.values())]


def _feistel(bits: int, seed: int) -> Callable[[int], int]:
    """A keyed bijection of 0 .. 2^bits - 1; halves of unequal width swap places every round."""
    keys = [hashlib.sha256(f"refine:{seed}:{r}".encode()).digest() for r in range(_ROUNDS)]
    widths = (bits - bits // 2, bits // 2)
    nbytes = math.ceil(bits / 8)
    masks = [(1 << widths[r % 2]) - 1 for r in range(_ROUNDS)]
    # The key is hashed once. Values of narrow halves repeat, and are kept.
    started = [hashlib.blake2b(key=key, digest_size=_DIGEST) for key in keys]
    cached: list[dict[int, int]] = [{} for _ in keys]

    def hashed(r: int, low: int) -> int:
        state = started[r].copy()
        state.update(low.to_bytes(nbytes, "big"))
        digest = state.digest()
        while len(digest) * 8 < widths[r % 2]:  # on grids beyond 2^256
            digest += hashlib.blake2b(digest, digest_size=_DIGEST).digest()
        value = int.from_bytes(digest, "big") & masks[r]
        if widths[0] <= _KEPT_BITS:
            cached[r][low] = value
        return value

    def mix(x: int) -> int:
        high = x >> widths[1]
        low = x & ((1 << widths[1]) - 1)
        for r in range(_ROUNDS):
            value = cached[r].get(low)
            if value is None:
                value = hashed(r, low)
            high, low = low, high ^ value
        return (high << widths[(_ROUNDS + 1) % 2]) | low

    return mix
