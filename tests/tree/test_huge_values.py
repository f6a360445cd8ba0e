"""One value at the end of the floating-point range breaks no look and no export."""

import pytest


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(("huge", "direction"), [(1.7e308, "maximize"), (1.7e308, "minimize")])
@pytest.mark.filterwarnings(
    "ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning"
)
def test_one_huge_value_breaks_no_look_and_no_export(tree, tmp_path, pictures, huge, direction):
    def score(params):
        x = params["x"]
        y = params["y"]
        return huge if x == 0.5 and y < 0.45 else 0.9 - abs(x - 0.5) - 0.3 * y

    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
    round_ = tree.add_round(space, score, n=40, direction=direction).run()
    results = (round_, round_.analyze(), round_.propose(), round_.checks(), tree.winner(), tree)
    for result in results:
        assert str(result)
    assert str(tree.winner().why())
    assert str(round_.propose().why())
    tree.export(tmp_path / "export")
    assert "## Evidence" in round_.report(tmp_path / "report").read_text(encoding="utf-8")
