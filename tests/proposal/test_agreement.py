"""Questions and proposals agree: one chance, from one posterior."""

import numpy as np
import pandas as pd
import pytest
from surfaces import SURFACES

import refine
from refine.proposal.options import risks_of
from refine.proposal.suggested import region_text

RIDGE = pytest.param("ridge", marks=pytest.mark.slow)  # at the limit of processor time
NAMES = ("smooth bowl off centre", "noisy bowl", RIDGE, "two peaks", "inert parameters", "equal choices")
TRIALS = 24


@pytest.fixture(scope="module", params=NAMES)
def study(request):
    surface = SURFACES[request.param]

    def objective(params, trial):
        value = float(surface.value(pd.DataFrame([dict(params)]))[0])
        return value + 0.02 * np.random.default_rng(trial.seed).normal()

    with refine.Tree("agreement", store="sqlite://") as tree:
        root = tree.add_round(surface.space, objective, n=TRIALS, seed=3, name="surface")
        root.run(machine=refine.Machine(progress=False))
        yield tree, root.propose(risk=0.05)


def kept_levels(old, new):
    return np.array([bool(new.contains(old.column(np.array([i])))[0]) for i in range(old.size)])


def test_a_proposed_box_and_the_question_about_it_have_one_chance(study):
    tree, review = study
    for risk in risks_of(review.proposal):
        proposal = review.proposal.at(risk)
        cuts = [c for c in proposal.changes if not kept_levels(c.old, c.new).all()]
        if not cuts:
            continue
        region = " and ".join(region_text(c.name, c.old, kept_levels(c.old, c.new)) for c in cuts)
        answer = tree.ask(region, at=review.round)
        assert answer.probability == pytest.approx(proposal.claim.probability, abs=1e-9)
        for change in cuts:
            alone = tree.ask(region_text(change.name, change.old, kept_levels(change.old, change.new)))
            assert alone.probability == pytest.approx(1 - change.risk, abs=1e-9)


def test_a_range_of_half_of_the_levels_that_is_a_sure_yes_is_proposed(study):
    tree, review = study
    sure = []
    for name in review.proposal.old.varied:
        old = review.proposal.old[name]
        half = max(1, old.size // 2)
        for mask in (np.arange(old.size) < half, np.arange(old.size) >= old.size - half):
            answer = tree.ask(region_text(name, old, mask))
            if answer.verdict in ("yes", "either") and answer.probability >= 0.95:
                sure.append(name)
    if sure:
        assert review.proposal.space != review.proposal.old
