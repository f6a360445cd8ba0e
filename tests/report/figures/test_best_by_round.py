"""All rounds on one axis, and the tree of rounds."""

import numpy as np
import pytest
from looks import apart, drawn, inside, legend, points, texts

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures import RoundValues, TreeNode
from refine.report.figures.theme import tone
from tests.reading import numbers_in

NAN = float("nan")
ROUNDS = [
    RoundValues("root", None, [0.5, NAN, 0.7, 0.6]),
    RoundValues("side", "root", [0.65, 0.72]),
    RoundValues("main", "root", [0.69, 0.8], "paper"),
    RoundValues("last", "main", [0.79, 0.9, 0.1]),
]


def _best(ax):
    return [[(float(x), float(y)) for x, y in np.asarray(line.get_xydata())] for line in drawn(ax, "best")]


def test_every_branch_starts_at_the_best_of_its_parent():
    ax = figures.best_so_far(ROUNDS, "maximize", "val_acc")
    root, side, main, last = _best(ax)
    assert root == [(1, 0.5), (2, 0.5), (3, 0.7), (4, 0.7), (4.5, 0.7)]
    assert side == [(4.5, 0.7), (5, 0.7), (6, 0.72), (6.5, 0.72)]
    assert main == [(6.5, 0.7), (7, 0.7), (8, 0.8), (8.5, 0.8)]  # its parent's best, not its sibling's
    assert last == [(8.5, 0.8), (9, 0.8), (10, 0.9), (11, 0.9), (11.5, 0.9)]
    links = [[tuple(p) for p in np.asarray(line.get_xydata())] for line in drawn(ax, "link")]
    assert links == [[(4.5, 0.7), (6.5, 0.7)]]
    colours = [line.get_color() for line in drawn(ax, "best")]
    assert [c == tone().blue for c in colours] == [True, False, True, True]
    assert points(ax, "winner") == [(10, 0.9)]
    assert [numbers_in(entry) for entry in legend(ax)] == [[], [], ["0.9000", "10"], [], ["1"]]
    assert texts(ax) == ["root", "side", "paper", "last"]
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    assert spans == [(4.5, 6.5), (8.5, 11.5)]
    assert ax.get_title("left") == "Best val_acc over 4 rounds"
    inside(ax)


def test_one_round_has_no_bands_and_no_id():
    rounds = [RoundValues("root", None, [NAN, 0.5, 0.4, 0.9, 0.8])]
    ax = figures.best_so_far(rounds, "maximize", "val_acc")
    assert _best(ax)[0][-1] == (5.5, 0.9)
    entries = [numbers_in(entry) for entry in legend(ax)]
    assert ["0.9000", "4"] in entries
    assert ["1"] in entries
    assert texts(ax) == []
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("trial", "val_acc")
    assert [y for _, y in _best(figures.best_so_far(rounds, "minimize"))[0]] == [0.5, 0.4, 0.4, 0.4, 0.4]


# The tree.

NODES = [
    TreeNode("a" * 12, None, 0.90, 100, 100, note="the article's dictionary"),
    TreeNode("b" * 12, "a" * 12, 0.91, 50, 50, "branched", note="a guess"),
    TreeNode("c" * 12, "a" * 12, 0.93, 50, 60, "accepted"),
    TreeNode(
        id="d" * 12,
        parent="c" * 12,
        best=0.95,
        n=40,
        planned=40,
        kind="edited",
        tags=("paper", "best"),
        note="a note " * 30,
    ),
    TreeNode("e" * 12, "c" * 12, NAN, 0, 40, "accepted"),
]


def test_the_tree_figure_marks_each_kind_of_round():
    ax = figures.tree(NODES, "maximize", "val_acc")
    nodes = drawn(ax, "node")
    assert [line.get_ydata()[0] for line in nodes] == [0, 1, 2, 4, 3]
    faces = [line.get_markeredgecolor() for line in nodes]
    assert faces == [tone().blue, tone().grey, tone().blue, tone().orange, tone().grey]
    edges = drawn(ax, "edge")
    assert [line.get_color() for line in edges] == [tone().grey, tone().blue, tone().blue, tone().grey]
    assert [line.get_linestyle() for line in edges] == ["--", "-", "-", "-"]  # branched is dashed
    assert all(line.get_xdata()[0] == 0 for line in edges)
    written = texts(ax)
    rows = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert (rows["aaaaaa"], rows["bbbbbb"], rows["cccccc"], rows["dddddd"], rows["eeeeee"]) == (0, 1, 2, 4, 3)
    cells = {
        "0.9000",
        "0.9500",
        "-",
        "100",
        "50 of 60",
        "0 of 40",
        "root",
        "branched",
        "edited",
        "paper, best",
        "the article's dictionary",
    }
    assert cells <= set(written)
    long = next(text for text in written if text.startswith("a note"))
    assert long.endswith("…")
    best = {y: x for x, y in points(ax, "best")}
    assert set(best) == {0, 1, 2, 4}
    assert best[4] > best[2] > best[1] > best[0]  # better to the right
    inside(ax)
    for row in range(5):
        apart([t for t in ax.texts if t.get_position()[1] == row])


def test_the_path_can_lead_to_another_winner():
    ax = figures.tree(NODES, "maximize", "val_acc", winner=NODES[1].id)
    colours = [line.get_markeredgecolor() for line in drawn(ax, "node")]
    assert colours == [tone().blue, tone().orange, *[tone().grey] * 3]
    with pytest.raises(AnalysisError, match=f"got 'zz'.*'?{NODES[0].id}"):
        figures.tree(NODES, "maximize", winner="zz")
    values = (("a", None, [0.5, 0.9]), ("b", "a", [0.9, 0.7]), ("c", "a", []))
    rounds = [RoundValues(*value) for value in values]
    assert points(figures.best_so_far(rounds, "maximize"), "winner") == [(2, 0.9)]
    assert points(figures.best_so_far(rounds, "maximize", winner="b"), "winner") == [(3, 0.9)]
    with pytest.raises(AnalysisError, match="winner is the id of a round with a value, got 'c'"):
        figures.best_so_far(rounds, "maximize", winner="c")


@pytest.mark.parametrize(
    ("draw", "values", "direction", "pattern"),
    [
        (figures.best_so_far, [], "maximize", "no trial has a value yet; run a round first"),
        (figures.best_so_far, [RoundValues("a", None, [NAN])], "maximize", "no trial has a value yet"),
        (
            figures.best_so_far,
            ROUNDS[2:],
            "maximize",
            "round 'main' stands before its parent 'root', or the parent",
        ),
        (figures.best_so_far, [ROUNDS[0], ROUNDS[0]], "maximize", "round 'root' is given twice"),
        (figures.best_so_far, ROUNDS, "up", "direction must be"),
        (figures.tree, [], "maximize", "there is no round yet; add one first"),
        (
            figures.tree,
            NODES[1:],
            "maximize",
            "stands before its parent 'aaaaaaaaaaaa', or the parent",
        ),
        (figures.tree, [NODES[0], NODES[0]], "maximize", "'aaaaaaaaaaaa' is given twice"),
    ],
)
def test_a_tree_that_cannot_be_drawn_is_refused(draw, values, direction, pattern):
    with pytest.raises(AnalysisError, match=pattern):
        draw(values, direction)
