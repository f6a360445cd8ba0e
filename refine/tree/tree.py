"""The tree: the rounds of a question, versioned."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from refine.errors import NotFoundError, StoreError, unstorable
from refine.review.decision import Decision
from refine.store.engine import check_folder
from refine.store.store import Store, only_tree
from refine.tree import excluding
from refine.tree.adding import add_round
from refine.tree.asking import ask
from refine.tree.comparison import check_studies, diff
from refine.tree.context import Context, Settings
from refine.tree.exchange.folder import export, loaded
from refine.tree.exchange.imports import add_runs
from refine.tree.judging import confirm, judge, open_holdout, winner
from refine.tree.names import paths_of
from refine.tree.overview import best, front_of
from refine.tree.removal import delete, repair
from refine.tree.round import Round
from refine.tree.track_record import calibration
from refine.tree.tree_record import TreeRecord
from refine.utils.action import Action
from refine.utils.files import possible_path, write_whole
from refine.utils.keywords import helped_methods
from refine.utils.plain import plain
from refine.utils.provided import provided
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    import pandas as pd


@helped_methods
class Tree(TreeRecord):
    """All rounds of a study, in a store. Opens the tree, or creates a new tree.

    Args:
        name: Name of the question; default that of the only tree in the store.
        store: URL of the store, or path of a SQLite file.
        create: Whether to create a missing tree.

    Raises:
        StoreError: The store can't be opened.
        NotFoundError: The tree does not exist and ``create`` is false; or ``name`` is missing, and the store
            does not hold exactly one tree.

    Examples:
        >>> def score(p):
        ...     return 1 - 0.02 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"]
        >>> tree = refine.Tree("example", store="refine.db")
        >>> root = tree.add_round({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}, score, n=30, seed=7)
        >>> root.run()
        <Round ... of example>
    """

    def __init__(
        self,
        name: str | None = None,
        store: str | os.PathLike[str] = "sqlite:///refine.db",
        *,
        create: bool = True,
    ) -> None:
        if name is None:
            name = only_tree(store)
        if not isinstance(name, str) or not name.strip():
            raise StoreError(
                f"a tree needs a name, got {name!r}; for example refine.Tree('digits', store='refine.db')"
            )
        if bad := unstorable(name):
            raise StoreError(f"a tree's name {bad}")
        database = Store(store, create)
        try:
            self._context = Context(
                database,
                database,
                tree=database.tree(name, create),
                name=name,
                objectives={},
                scores={},
                tools={},
                settings=Settings(),
            )
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Closes the store's connections."""
        self._context.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    add_round = add_round

    ask = ask

    # Looking back.

    _best = best
    winner = winner
    confirm = confirm
    judge = judge
    open_holdout = open_holdout
    calibration = calibration
    diff = diff

    # Removing for good.

    repair = repair
    delete = delete

    # Bringing and taking.

    add_runs = add_runs
    export = export

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        store: str | os.PathLike[str] = "sqlite:///refine.db",
        name: str | None = None,
    ) -> Self:
        """Reads an exported tree into a store, with equal values. Executes nothing from the folder.

        A repeated load changes nothing. If the store holds a different tree of that name, nothing is written.

        Args:
            folder: A folder written by :meth:`export`.
            store: URL of the store, or path of a SQLite file.
            name: Name of the tree; default the exported name.

        Returns:
            The tree, opened.

        Raises:
            StoreError: The folder is damaged, of a newer refine, or differs from the tree in the store.
        """
        return loaded(cls, folder, store, name)

    # Showing.

    @property
    def front(self) -> pd.DataFrame:
        """The front over the trials of all rounds: see :attr:`Round.front`.

        The column ``round`` has the id of a trial's round, and the label of a row is the trial's label in
        that round: ``tree[round].choose(label)`` records your choice. Empty before the first trial has
        finished.

        Rounds that differ in metric, goals or direction from the oldest root can't be compared and are left
        out.

        Raises:
            NotFoundError: The tree has no round yet.
        """
        if not len(self):
            raise NotFoundError(
                f"tree {self._name!r} has no rounds, so it has no front; add one",
                Action("tree.add_round", ...),
            )
        return front_of(self._at_once().rounds)

    def log(self) -> pd.DataFrame:
        """Everything that happened, oldest first: ``time, event, round, child, author, note``.

        Examples:
            >>> space = {"lr": (0.5, 1.5, 11), "dropout": 0.0}
            >>> child = root.branch(space, n=9, note="no dropout", author="mia")
            >>> tree.log()[["event", "author", "note"]].iloc[-1].tolist()
            ['branched', 'mia', 'no dropout']
        """
        import pandas as pd

        context = self._context.at_once()
        rows: list[tuple[float, str, str, str, str, str]] = []
        for stored in context.nodes.values():
            node = stored.node
            if node.parent is None:
                rows.append((node.created, "root", node.id, "", node.author, node.note))
            for content, created in context.reader.decisions(stored.pk):
                d = Decision.from_json(json.loads(content))
                rows.append((created, d.kind, node.id, d.child or "", d.author, d.note))
            opened = context.reader.openings(stored.pk)
            rows += [(o.created, "hold-out opened", node.id, "", o.author, o.note) for o in opened]
        removed = context.store.removals(context.tree)
        rows += [(r.created, r.event, r.round, "", r.author, r.note) for r in removed]
        rows += excluding.log_rows(context)
        rows.sort(key=lambda row: row[0])
        frame = pd.DataFrame(rows, columns=["time", "event", "round", "child", "author", "note"])
        return frame.assign(time=pd.to_datetime(frame["time"], unit="s", utc=True).dt.floor("s"))

    @property
    def plot(self) -> Any:
        """Figures of all rounds, such as ``tree.plot.tree()``; see :class:`refine.report.plots.TreePlots`."""
        return provided("tree.plot")(self)

    def report(
        self,
        target: str | Path,
        *,
        winner: Round | str | None = None,
        html: bool = False,
        risk: float = 0.05,
        beside: Tree | None = None,
    ) -> Path:
        """Writes the story from root to winner into a folder, or the review page of all rounds into a file.

        - ``report("reports")`` writes every decision, its reason and the outcome of its claim as markdown
          with a folder of figures; with ``html=True`` as one HTML file.
        - ``report("study.html")`` writes the review page, readable without a server or a network. The page is
          read-only: an edit shows the Python to type. The file contains every trial, note and name of the
          tree; 1,000 trials take 0.35 MB.

        Args:
            target: A folder, created if missing; or a file that ends in ``.html``, in an existing folder.
            winner: The round at the end of the story, or its name; default the round with the best observed
                trial.
            html: Whether to write one self-contained HTML file instead of markdown.
            risk: Accepted risk of the proposals on the page at first.
            beside: A second study to show on the page next to the first.

        Returns:
            The file.

        Raises:
            AnalysisError: ``risk`` out of range.
            NotFoundError: A tree has no round yet, or no such winner.
            ReviewError: ``beside`` is not another tree, has another metric or direction, or shares no
                parameter.
            StoreError: The file cannot be written, or a file stands in place of the folder.

        Examples:
            >>> tree.report("reports").name, tree.report("study.html").name
            ('example.md', 'study.html')
        """
        if str(target).endswith(".html"):
            page = possible_path(target, "page", "study.html")
            check_studies(self, beside)
            return write_whole(page, [provided("tree.page")(self, risk, beside)])
        folder = check_folder(target)
        if not len(self):
            raise NotFoundError(
                f"tree {self._name!r} has no round to report on; add one", Action("tree.add_round", ...)
            )
        if winner is None:
            chosen = None
        else:
            chosen = self[winner]
        written: Path = provided("tree.report")(self, folder, chosen, html)
        return written

    def _data(self) -> JsonObject:
        snapshot = self._at_once()
        paths = paths_of({key: stored.node.parent for key, stored in snapshot._context.nodes.items()})
        rounds = [round_._data(paths) for round_ in snapshot.rounds]
        return {
            "name": self._name,
            "store": self._url,
            "rounds": rounds,
            "tags": self._tags,
            "budget": None if self.budget.limit is None else self.budget.to_json(),
            "best": plain(snapshot._best()),
        }
