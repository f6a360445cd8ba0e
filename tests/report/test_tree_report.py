"""Reports of a tree, of a comparison, and as one HTML file."""

import html
import re
from pathlib import Path

import pytest

import refine
from refine.errors import NotFoundError
from refine.report.pages.space import population_sentence
from refine.review.review import edits_of

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "epochs": 20}
EVIL = "<script>alert(1)</script> | **x** \n# head"


def score(p):
    return 1 - 0.05 * (p["lr"] - 1.23) ** 2 - 0.2 * p["dropout"] - 0.1 * (p["optimizer"] == "SGD")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    with refine.Tree("a <b> question", store=tmp_path_factory.mktemp("t") / "t.db") as opened:
        root = opened.add_round(SPACE, score, n=80, seed=1, note=EVIL).run()
        edited = root.propose().edit(dropout=(0, 0.2, 3), lr=(0.5, 4.0, 15)).reject("optimizer")
        first = edited.accept("low dropout", n=40, author="ann")
        first.run()
        side = root.branch(
            {**SPACE, "l2": (0.0, 0.1, 3)}, previous={"l2": 0.0}, n=20, note="l2?", author="bob"
        )
        side.run()
        first.propose().decline("enough", author="ann")
        opened.tag(first, "paper")
        yield opened


@pytest.mark.slow
def test_the_story_leads_from_the_root_to_the_winner(tree, tmp_path):
    path = tree.report(tmp_path)
    text = path.read_text()
    assert path.name == "a-b-question.md"
    root, first, side = tree.rounds
    way, other_branches = text.split("<summary>Other branches</summary>")
    assert way.index(f"<summary>1. Round {root.id}<") < way.index(f"<summary>2. Round {first.id}<")
    assert f"<summary>Round {side.id}<" in other_branches
    assert re.search(r"\| dropout \| 0 to 0.5 \| .* \| 0 to 0.2 \| ■■■□□□ \| edited \|", way)
    assert re.search(r"\| optimizer \| .* \| Adam, SGD \| ■■ \| rejected \|", way)
    details = (tmp_path / "a-b-question" / "details.md").read_text()
    assert f"<summary>Evidence of the proposal for round {first.id}<" in details
    assert "Outcome: " in way
    assert re.search(r"\bann: enough\b", way)
    assert "| l2 | - | - | 0 to 0.1 | - | added |" in other_branches
    assert f"round.id == '{first.id}'" in text
    for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (tmp_path / link).read_bytes().startswith(b"\x89PNG")
    assert text == tree.report(tmp_path / "again").read_text()
    assert "<script>" not in text


@pytest.mark.slow
def test_the_report_can_lead_to_another_winner(tree, tmp_path):
    side = tree.rounds[2]
    text = tree.report(tmp_path, winner=side).read_text()
    assert f"<summary>2. Round {side.id}<" in text
    assert "after 1 decision." in text
    with pytest.raises(NotFoundError, match="did you mean 'paper'"):
        tree.report(tmp_path, winner="papr")


@pytest.mark.nightly
def test_a_change_relaxed_by_an_edit_is_not_reported_as_proposed(tmp_path):
    def score(p):
        crowded = p["c"] == "z" and p["b"] > 5
        return 1 - (p["a"] - 0.7) ** 2 - 0.02 * abs(p["b"] - 3) - 0.05 * (p["c"] == "y") - 0.3 * crowded

    space = {"a": (0.0, 1.0, 11), "b": refine.Integer(1, 10), "c": ["x", "y", "z"]}
    tree = refine.Tree("relaxed", store="sqlite://")
    root = tree.add_round(
        space, score, n=30, seed=5, metric=refine.Goal("value", noise="none"), name="o"
    ).run()
    review = root.propose().edit(c=["y"])
    assert [change.name for change in edits_of(review).relaxed] == ["a"]
    review.accept(n=12).run()
    lines = tree.report(tmp_path).read_text().splitlines()
    cells = [line.split("|") for line in lines if line.count("|") == 7]
    origin = {row[1].strip(): row[-2].strip() for row in cells if row[1].strip() in space}
    assert list(origin) == ["a", "b", "c"]
    assert len(set(origin.values())) == 3  # relaxed, as proposed, edited


@pytest.mark.slow
def test_one_html_file_holds_its_pictures_and_runs_nothing(tree, tmp_path, pictures):
    for path in (tree.report(tmp_path, html=True), tree.rounds[0].report(tmp_path, html=True)):
        text = path.read_text()
        assert path.suffix == ".html"
        assert text.count('src="data:image/png;base64,') == text.count("<img ") > 0
        assert text.count("<details") == text.count("</details>") > text.count("<h2>") > 2
        assert "<script" not in text
        assert "default-src &#x27;none&#x27;" in text
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.slow
def test_a_comparison_is_written_as_a_report(tree, tmp_path):
    comparison = tree.diff(tree.rounds[0], "paper")
    text = comparison.report(tmp_path).read_text()
    assert "| dropout | 0 to 0.5 | 0 to 0.2 | ■■■□□□ |" in text
    assert population_sentence(comparison.populations, comparison.b, comparison.a).split(" with ")[0] in text
    assert (tmp_path / f"compare-{comparison.a}-{comparison.b}" / "populations.png").is_file()
    page = tree.diff("paper", "paper").report(tmp_path).read_text()
    assert "the same" in page


@pytest.mark.slow
def test_files_of_two_trees_in_one_folder_have_names_of_their_own(tree, tmp_path):
    root, first, _ = tree.rounds
    path = first.report(tmp_path)
    assert root.id in (path.with_suffix("") / "details.md").read_text().split("Compared")[1]
    with refine.Tree("other", store=tmp_path / "o.db") as other:
        twin = other.add_round(SPACE, lambda p: -score(p), n=12, name="g").run()
        assert twin.report(tmp_path).name == f"1-{twin.id}.md"
    assert {f"1-{twin.id}.md", f"2-{first.id}.md"} == {p.name for p in tmp_path.glob("*.md")}


def test_rounds_judged_by_different_things_are_not_compared_as_populations(tmp_path):
    def both(params):
        return {"a": params["lr"], "b": 1.0}

    with refine.Tree("t", store=tmp_path / "t.db") as tree:
        first, second = (
            tree.add_round(SPACE, both, metric=metric, n=20, seed=seed, name="f").run()
            for seed, metric in enumerate("ab")
        )
        comparison = tree.diff(first, second)
        assert comparison.populations is None
        assert comparison.other["metric"] == ("a", "b")
        assert ".png" not in comparison.report(tmp_path).read_text()
        searched = second.propose().accept(n=2, exploit=1.0, plan=refine.Plan(audit=0.0)).run()
        assert tree.diff(second, searched).populations is None


def test_a_tree_that_has_not_run_has_a_report(tmp_path):
    with refine.Tree("t", store=tmp_path / "t.db") as tree:
        with pytest.raises(NotFoundError, match="no round"):
            tree.report(tmp_path)
        root = tree.add_round(SPACE, score, n=20)
        text = Path(tree.report(tmp_path)).read_text()
        assert root.id in text
        assert "not run" in text


@pytest.mark.slow
def test_questions_are_reported_with_their_answers(tree, tmp_path):
    assert "<summary>Questions</summary>" not in tree.report(tmp_path).read_text()
    answer = tree.ask("dropout <= 0.2", given="optimizer == 'Adam'", author=EVIL)
    text = tree.report(tmp_path).read_text()
    section = text.split("<summary>Questions</summary>")[1].split("</details>")[0]
    shown = html.unescape(section).replace("\\", "")
    assert re.search(re.escape(answer.question) + r"\b.*" + re.escape(answer.given), shown)
    assert f"| {answer.verdict} |" in section
    assert "<script>" not in text


@pytest.mark.slow
def test_evidence_of_a_proposal_gives_no_size_that_ignores_the_budget(tmp_path):
    tree = refine.Tree("limited", store="sqlite://")
    root = tree.add_round(SPACE, score, n=40, seed=1).run()
    root.propose().accept().run()
    [entry] = tree.calibration().entries
    [advised] = entry.proposal._page().texts("n")

    def details():
        path = tree.report(tmp_path)
        return html.unescape((path.with_suffix("") / "details.md").read_text())

    assert advised in details()
    tree.budget = 120
    assert advised not in details()
