"""First screens keep their budget: lines and words of every summary at 80 columns."""

import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

from refine.errors import AnalysisError
from refine.report.pages.headline import MOST_WORDS, headline_of
from refine.review.review import advised_round_of, next_step
from refine.run.holdout import HoldoutResult
from refine.utils.display import Shown, to_text

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import words

pytestmark = pytest.mark.slow  # a study of three rounds, analysed

NOT_PRINTED = ("report", "tree's report", "certificate", "page")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with words.three_rounds(tmp_path_factory.mktemp("study")) as tree:
        yield tree


@pytest.fixture(scope="module", params=["ten lines", "three rounds"])
def shown(request, study, tmp_path_factory):
    if request.param == "three rounds":
        yield words.glances(study, study.rounds[1])  # the last round proposes nothing
    else:
        with words.ten_lines(tmp_path_factory.mktemp("lines")) as tree:
            yield words.glances(tree, tree.rounds[-1])


@pytest.mark.parametrize("name", [name for name in words.BUDGETS if name not in NOT_PRINTED])
def test_glances_are_short(shown, name):
    text = to_text(shown[name]._page(), words.COLUMNS)
    # On top come checks that failed or wait, which are news of their own, and wrapped lines of a table.
    text_counted = re.sub(
        r" *\d+ checks? (failed|needs more trials): [^\n]+\n|^ {13,}\S[^\n]*\n", "", text, flags=re.M
    )
    count = words.counted(text_counted)
    budget = words.BUDGETS[name]
    assert count.lines <= budget.lines, text
    assert count.words <= budget.words, text
    assert max(map(len, text.splitlines())) <= words.COLUMNS
    for symbol in ("eps2", "rho", " q ", "0.0000", "P("):
        assert symbol not in text


def test_a_review_prints_verdict_changes_risk_and_next_call_in_this_order(shown):
    review = shown["review"]
    page = review._page()
    lines = to_text(page, 200).splitlines()
    headline = headline_of(review)
    assert lines[0].startswith(f"Round {review.round.id[:8]}: ")
    assert ", best " in lines[0]
    assert lines[1] == headline.sentence
    assert len(headline.text.split()) <= MOST_WORDS
    title = page.blocks[0].title
    assert (title == "") == (review.worth().verdict == "CONTINUE")
    for change in review.proposal.changes:
        row = any(line.split()[:1] == [change.name] and "->" in line for line in lines)
        assert row == (change.kind != "keep")
    words_before = [line.split()[0] for line in lines if line[:1].strip()]
    labels = ["Risk", "Kept", "Blind", "Next", "Or"]
    assert [word for word in words_before if word in labels] == labels
    assert f"Next        {headline.action}" in lines


def test_a_review_names_the_number_of_checks_that_failed_in_a_line(shown):
    review = shown["review"]
    failed = [check for check in review.checks().checks if check.verdict == "fail"]
    lines = to_text(review._page(), 200).splitlines()
    failures = [line for line in lines if "failed: " in line]
    assert len(failures) == bool(failed)
    if failed:
        assert f"{len(failed)} check" in failures[0]


def test_why_and_details_hold_the_rest(shown):
    review = shown["review"]
    glance = str(review)
    reasons = str(review.why())
    text = str(review.why())
    changed = next(c for c in review.proposal.changes if c.kind != "keep")
    assert "space-filling" not in glance
    assert str(review.why(changed.name)).startswith(f"{changed.name}: ")
    assert str(review.why(changed.name)) in reasons
    for part in reasons.split("\n\n")[1:]:
        assert part in text
    assert all(fold.title in text for fold in review._page().folds)
    with pytest.raises(AnalysisError, match="knows no topic 'lrr'; did you mean 'lr'"):
        review.why("lrr")


@pytest.mark.parametrize("name", ["review", "analysis", "winner"])
def test_why_repeats_the_title_of_the_summary_and_nothing_else(shown, study, name):
    if name == "winner":
        page = study.winner()._page()
    else:
        page = shown[name]._page()
    evidence = page.why()
    assert (evidence.title, evidence.lead, evidence.calls) == (page.title, None, ())
    assert evidence.blocks
    assert not set(map(repr, page.blocks)) & set(map(repr, evidence.blocks))


def test_the_size_of_the_next_round_is_one_number_everywhere(shown):
    review = shown["review"]
    assert advised_round_of(review).n <= review.round.n
    assert review.worth().n == review.preview().n == advised_round_of(review).n
    assert [call.name for call in review.preview()._page().calls] == ["review.accept"]
    assert next_step(review).n == advised_round_of(review).n
    checks = review.checks()
    assert checks["worth"].values["n"] == advised_round_of(review).n
    assert checks["worth"].values["epsilon"] == pytest.approx(review.proposal.claim.epsilon)
    widened = any(c.kind == "widen" for c in review.proposal.changes)
    assert not (widened and checks["edges"].verdict == "pass")


def test_every_result_that_prints_is_data_with_the_version_of_its_schema(study):
    listed = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    named = {pkgutil.resolve_name(name) for name in re.findall(r"`(refine\.[\w.]+)`", listed)}
    kinds_left = {kind for kind in named if isinstance(kind, type) and issubclass(kind, Shown)}
    round_ = study.rounds[-1]
    review = round_.propose(keep=False)
    results = [*words.glances(study, round_).values(), round_, round_.space, review.proposal, review.worth()]
    results += [study.ask(f"lr <= {round_.space['lr'].grid[0]}"), study.ask()]
    results.append(study.rounds[0]._decisions[-1])
    for result in (*results, round_.replay(sample=1)):
        data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert data.keys() > {"schema", "page"}, result
        kinds_left.discard(type(result))
    assert kinds_left == {HoldoutResult}  # which has tests of its own


def test_the_printed_edit_is_the_one_that_accept_takes_when_typed(shown):
    review = shown["review"]
    printed = str(review).splitlines()
    typed = next(
        call
        for line in printed
        if line.startswith("Or ")
        for call in line[12:].split(" · ")
        if ".edit(" in call
    )
    names = {"review": review}
    exec(typed, names)
    assert names["review"].preview().edited
    assert names["review"].space != review.space
