"""The rounds of a tree by name."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Self

from refine.errors import DesignError, NotFoundError
from refine.run.machine import DEFAULT, Machine, machine_of
from refine.tree.context import Context
from refine.tree.names import check_tag, round_named
from refine.tree.round import Round
from refine.trials.budget import BudgetState, checked_budget
from refine.utils.display import Shown, line


class TreeRecord(Shown):
    """All rounds of one question; :class:`refine.Tree` adds the methods that change the tree."""

    _context: Context

    @classmethod
    def _of(cls, context: Context) -> Self:
        tree = cls.__new__(cls)
        tree._context = context
        return tree

    @property
    def _name(self) -> str:
        """Name of the tree."""
        return self._context.name

    @property
    def _url(self) -> str:
        """URL of the store, without its password."""
        return self._context.store.name

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds, oldest first."""
        return tuple(Round._of(self._context, s.node) for s in self._context.nodes.values())

    def __len__(self) -> int:
        return len(self._context.nodes)

    def __getitem__(self, key: Round | str) -> Round:
        """The round with a given name.

        Args:
            key: An id or its beginning, a tag, ``"last"`` (the newest), ``"root"``, or a path in the printed
                tree: ``"1"`` is the first root, ``"1.2"`` its second child. Or a round, which must belong to
                the tree.

        Raises:
            NotFoundError: No round or several rounds match, or the round belongs to another tree or was
                removed.

        Examples:
            >>> child = root.branch({"lr": (1.0, 2.0, 11), "dropout": 0.0}, n=5)
            >>> tree["root"].n, tree["1.1"].n, tree["last"].n
            (30, 5, 5)
        """
        if isinstance(key, Round):
            return self._own(key)
        if not isinstance(key, str):
            text = repr(key)
            hint = "tree.rounds[0]"
            if isinstance(key, int):
                text = f"the number {key}"
                hint = f"tree.rounds[{key}]"
            raise NotFoundError(
                f"a round is looked up by id, tag, path ('1.2'), 'last' or 'root', got {text}; by position: "
                f"{hint}"
            )
        nodes = self._context.nodes
        parents = {id_: stored.node.parent for id_, stored in nodes.items()}
        try:
            node_id = round_named(key, parents, self._tags, self._name)
        except NotFoundError:
            if self._context.removal_of(key) is None:
                raise
            raise self._context.missing(key) from None
        return Round._of(self._context, nodes[node_id].node)

    def _own(self, round_: Round) -> Round:
        """A round, which must belong to this tree."""
        context = self._context
        if round_._context is context:
            context.stored(round_.id)
        elif round_.id not in context.store.nodes(context.tree):
            raise NotFoundError(
                f"round {round_.id} belongs to tree {round_._context.name!r}, not to tree {self._name!r}; "
                "use that tree"
            )
        return round_

    def _at_once(self) -> Self:
        """The tree for one operation: values of the rounds are read once."""
        tree = copy.copy(self)
        tree._context = self._context.at_once()
        return tree

    @property
    def _tags(self) -> dict[str, str]:
        """Tag -> round id."""
        return self._context.reader.tags(self._context.tree)

    def tag(self, which: Round | str, name: str) -> None:
        """Gives a round a name; a name that exists moves.

        Raises:
            StoreError: The tag is empty, a round id, or reserved: ``last``, ``root`` or a path such as
                ``1.2``.
            NotFoundError: No such round in this tree.

        Examples:
            >>> tree.tag(root, "paper")
            >>> tree["paper"].n
            30
        """
        nodes = self._context.nodes
        check_tag(name, nodes)
        self._context.store.set_tag(self._context.tree, name, nodes[self[which].id].pk)

    @property
    def budget(self) -> BudgetState:
        """Budget of the study, in trials or training time, with the trials spent and left.

        The budget pays for all trials run in the tree: even, learning, given and audit trials, repeats to
        measure noise and repeats to confirm a winner. Failed trials count too. Imported trials, copied
        results, hold-outs, replays and retrained models do not count.

        Advice fits into the remaining budget, and keeps 15 % of the budget for :meth:`Tree.confirm` if
        values are noisy. A call beyond the budget is an error, before a trial runs. A training time is summed
        over trials; a run stops as soon as the time is spent.

        Assign a number of trials, or a time as ``"8 h"`` or ``datetime.timedelta``; ``None`` removes it.

        Raises:
            DesignError: Not a whole number >= 1 or a time > 0, or fewer trials than are spent.

        Examples:
            >>> tree.budget = 60
            >>> tree.budget.spent, tree.budget.left  # 30 trials and 3 repeats
            (33, 27)
            >>> print(tree.budget)
            27 of 60 trials left
        """
        return self._context.budget_with_counts

    @budget.setter
    def budget(self, budget: int | str | timedelta | None) -> None:
        value = checked_budget(budget)
        state = self.budget
        spent = state.spent + state.running
        if isinstance(value, int) and value < spent:
            raise DesignError(
                f"budget must be at least the {spent:,} trials spent so far, got {value}; for example "
                f"tree.budget = {spent}"
            )
        self._context.store.set_budget(self._context.tree, value)

    @property
    def machine(self) -> Machine:
        """Workers, limits, progress and callbacks of calls that run trials; no store holds them.

        Assign a machine to set the machine of this tree and its rounds in this process.

        Raises:
            DesignError: Not a :class:`refine.Machine`.

        Examples:
            >>> tree.machine = refine.Machine(workers=2, progress=False)
            >>> root.run(n=32).trials["state"].value_counts().to_dict()
            {'complete': 32}
        """
        return self._context.settings.machine

    @machine.setter
    def machine(self, machine: Machine) -> None:
        self._context.settings.machine = machine_of(DEFAULT, machine)

    @property
    def _budget(self) -> BudgetState:
        """The budget of the tree; without counts if the tree has no budget."""
        return self._context.budget

    def _needs(self, *ids: str) -> dict[str, object]:
        """Keywords needed to run the rounds."""
        return self._context.needs(*ids)

    def __repr__(self) -> str:
        if self._context.store.closed:
            how_many = "closed"
        else:
            how_many = f"{len(self)} rounds"
        return line(f"<Tree {self._name}: {how_many} in {self._url}>")
