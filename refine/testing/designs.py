"""What a design has to keep to: every cell once, the same ones under the same seed, small rounds the head of large ones."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from refine.design.space_filling import Design, draw, feasible
from refine.space.parameters import Float
from refine.space.space import Space, configuration_key


class DesignContract(ABC):
    """The contract of a :class:`refine.design.space_filling.Design`."""

    @abstractmethod
    def design(self) -> Design:
        """What is tested."""

    def spaces(self) -> tuple[Space, ...]:
        """What it is tested on: small grids, with a constraint and with a condition, and one too large to be built."""
        return (
            Space({"x": (0.0, 1.0, 5), "n": (1, 6), "act": ["relu", "elu", None]}),
            Space({"x": (0.0, 1.0, 5), "n": (1, 6), "one": 3}, ["x > 0.1 or n < 3"]),
            Space({"act": ["relu", "elu"], "alpha": Float(0.5, 1.5, 5, when="act == 'elu'"), "n": (1, 6)}),
            Space({f"p{i}": (0.0, 1.0, 5) for i in range(40)}),
        )

    def _drawn(self, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()) -> list[int]:
        return [space.number(row) for row in draw(self.design(), space, n, seed, skip)]

    def test_every_cell_comes_once(self) -> None:
        """All that meet the constraints, and no other; of cells that differ in what they have not, one."""
        for space in self.spaces()[:-1]:
            count = feasible(space).low
            cells = self._drawn(space, count, seed=3)
            assert len(set(cells)) == count, "a cell came twice"
            assert space.valid(np.array([space.indices(cell) for cell in cells])).all(), (
                "a constraint is broken"
            )

    def test_equal_seeds_give_equal_cells(self) -> None:
        """On every call, and other seeds others."""
        for space in self.spaces():
            assert self._drawn(space, 20, seed=5) == self._drawn(space, 20, seed=5)
        large = self.spaces()[-1]
        assert self._drawn(large, 20, seed=5) != self._drawn(large, 20, seed=6)

    def test_a_smaller_round_is_the_head_of_a_larger_one(self) -> None:
        """So that a round can be extended."""
        for space in self.spaces():
            assert self._drawn(space, 7, seed=1) == self._drawn(space, 20, seed=1)[:7]

    def test_what_was_run_is_passed_over(self) -> None:
        """And nothing else changes."""
        for space in self.spaces():
            cells = self._drawn(space, 20, seed=2)
            skip = frozenset(
                configuration_key(space.frozen(space.configuration(cell))) for cell in cells[3:6]
            )
            assert self._drawn(space, 17, 2, skip) == [*cells[:3], *cells[6:]]

    def test_large_grids_are_not_built(self) -> None:
        """5 to the 40 cells take no more than a small grid."""
        assert len(set(self._drawn(self.spaces()[-1], 200, seed=0))) == 200
