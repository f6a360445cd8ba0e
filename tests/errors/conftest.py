"""A place for wrong uses: a finished round, an empty one, a proposal, another tree, and obstructing files."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import sqlalchemy as sa

import refine
from refine.store.schema import metadata

pytest.register_assert_rewrite("wrong")

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 150}


def objective(params):
    slow = 0.1 * (params["optimizer"] == "SGD")
    return 1 - 0.02 * (params["lr"] - 1.4) ** 2 - 0.2 * params["dropout"] - slow


WORDS = ("FOLDER", "ROOT", "EMPTY", "FOREIGN")


class Place(SimpleNamespace):
    """See :func:`place`."""

    def rows(self):
        """The number of rows of every table of both stores."""
        counts = []
        for tree in (self.tree, self.other):
            with tree._context.store.engine.connect() as connection:
                for table in metadata.sorted_tables:
                    counts.append(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar())
        return counts

    def files(self):
        """Everything that lies in the folder, but for what SQLite keeps beside its files."""
        return sorted(p for p in self.folder.rglob("*") if not p.name.endswith(("-wal", "-shm")))

    def said(self, text):
        """A text with the words in capitals filled in."""
        for word in WORDS:
            text = text.replace(word, str(getattr(self, word)))
        return text

    def words(self, text):
        """The other way round."""
        for word in WORDS:
            text = text.replace(str(getattr(self, word)), word)
        return text


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("wrong"))
    tree = refine.Tree("question", store=folder / "refine.db")
    root = tree.add_round(SPACE, objective, n=60, seed=7).run()
    empty = tree.add_round(SPACE, objective, n=20, seed=8)
    other = refine.Tree("other", store=folder / "other.db")
    foreign = other.add_round({"a": (0.0, 1.0)}, objective, n=5)
    (folder / "file").write_text("a file")
    (folder / "text.db").write_text("no database, but long enough to be taken for the header of one " * 9)
    (folder / "semicolons.csv").write_text("a;b\n1;2\n")
    (folder / "twice.csv").write_text("lr,acc,lr\n1,2,3\n")
    frame = pd.DataFrame({"lr": [0.1 * i for i in range(1, 21)], "act": ["relu", "elu"] * 10, "acc": 0.5})
    opened = Place(
        folder=folder,
        tree=tree,
        root=root,
        empty=empty,
        review=root.propose(),
        other=other,
        foreign=foreign,
        frame=frame,
        space=SPACE,
        objective=objective,
        FOLDER=folder,
        ROOT=root.id,
        EMPTY=empty.id,
        FOREIGN=foreign.id,
    )
    yield opened
    tree.close()
    other.close()
