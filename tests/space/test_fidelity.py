"""A fidelity in a space: its levels, their costs, and what is refused."""

import numpy as np
import pytest

import refine
from refine.errors import SpaceError
from refine.space.fidelity import full_trainings
from refine.space.files import read_space

SPACE = {"lr": refine.Float(1e-4, 1, log=True), "epochs": refine.Fidelity(5, 50)}


def test_a_fidelity_is_not_searched():
    space = refine.Space(SPACE)
    assert space.varied == ("lr",)
    assert space.size == space["lr"].size
    assert {configuration["epochs"] for configuration in map(space.configuration, range(space.size))} == {5}


def test_a_trial_costs_as_much_as_its_level():
    fidelity = refine.Fidelity(5, 50)
    assert fidelity.cost == 0.1
    n = 110
    assert round(n * fidelity.full_share) == 10  # 100 cheap trials cost as much
    assert full_trainings(refine.Space(SPACE), n, fidelity.full_share) == 20
    assert full_trainings(refine.Space({"lr": (0.1, 1.0)}), n, 0.5) == n


def test_every_level_lies_in_the_space_and_others_do_not():
    fidelity = refine.Fidelity(0.1, 0.3, 1.0)
    assert fidelity.contains([0.1, 0.3, 1]).all()
    assert not fidelity.contains([0.2, None, "a"]).any()
    places = fidelity.unit([0.1, 0.3, 1.0, 0.5])
    assert places[:3] == pytest.approx([0, np.log(3) / np.log(10), 1])
    assert np.isnan(places[3])


def test_a_fidelity_survives_json_a_file_and_its_own_code(tmp_path):
    space = refine.Space(SPACE)
    assert refine.Space.from_json(space.to_json()) == space
    path = tmp_path / "space.toml"
    lines = ["[parameters]", "lr = { low = 1e-4, high = 1, log = true }", "epochs = { fidelity = [5, 50] }"]
    path.write_text("\n".join(lines))
    assert read_space(str(path)) == space
    assert space["epochs"].code() == "Fidelity(5, 50)"
    assert space["epochs"].describe() == "fidelity: 5, 50"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: refine.Fidelity(5), "a fidelity needs two or more numbers, from cheap to full, got (5,)"),
        (lambda: refine.Fidelity("a", 5), "a fidelity needs two or more numbers"),
        (lambda: refine.Fidelity(50, 5), "must be positive and increase, from cheap to full, got (50, 5)"),
        (lambda: refine.Fidelity(0, 5), "must be positive and increase"),
        (lambda: refine.Space({**SPACE, "width": refine.Fidelity(1, 2)}), "at most one fidelity"),
        (lambda: refine.Fidelity(5, 50).under("lr > 1"), "belongs to every training and takes no condition"),
        (lambda: refine.Fidelity(5, 50).level(7), "7 is not a level of this fidelity; levels: 5, 50"),
    ],
)
def test_a_wrong_fidelity_is_refused(make, text):
    with pytest.raises(SpaceError) as refused:
        make()
    assert text in str(refused.value)
