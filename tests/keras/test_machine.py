"""`python -m refine.testing.machine`: whether the fast loop keeps its promise here, on whatever there is."""

from __future__ import annotations

import pytest

from refine.testing import machine
from refine.testing.keras_fit import TOLERANCE
from refine.testing.machine import Measured

DENSE = "small dense network"


@pytest.mark.nightly
def test_it_compares_and_takes_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "_KINDS", {DENSE: machine._KINDS[DENSE]})
    assert machine.main(["--epochs", "2"]) == 0
    first, *_, last = printed = capsys.readouterr().out.strip().splitlines()
    assert "on tensorflow, which sees CPU:0" in first
    row = next(line for line in printed if line.startswith(f"| {DENSE}"))
    way, apart, itself, equal = [cell.strip() for cell in row.split("|")][2:6]
    assert (way, itself, equal) == ("fast", "0e+00", "yes")
    assert float(apart) <= TOLERANCE
    assert last == "Two workers give the values of one process: yes, 0e+00 apart at most"


def test_what_two_trainings_of_keras_differ_by_is_allowed_for() -> None:
    assert Measured("fast", TOLERANCE, 0.0, 1.0, 1.0).is_equal
    assert not Measured("fast", 2 * TOLERANCE, 0.0, 1.0, 1.0).is_equal
    assert Measured("fast", 2e-3, 1e-3, 1.0, 1.0).is_equal
    assert not Measured("fast", 3e-3, 1e-3, 1.0, 1.0).is_equal
