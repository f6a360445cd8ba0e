"""Contracts of everything that can be brought along, as suites that anybody can run on their own.

:func:`check_objective` says what is wrong with an objective. The classes are suites for pytest: derive one, say what is
tested, and its ``test_...`` methods are collected::

    from refine.testing import DesignContract

    class TestMine(DesignContract):
        def design(self):
            return Mine()

They assert, and need nothing beyond this package.
"""

from __future__ import annotations

from refine.testing.designs import DesignContract
from refine.testing.executors import ExecutorContract
from refine.testing.objectives import Finding, ObjectiveContract, check_objective, findings_of
from refine.testing.statistics import StatisticContract
from refine.testing.stores import StoreContract
from refine.testing.trained import KerasObjectiveContract

__all__ = [
    "DesignContract",
    "ExecutorContract",
    "Finding",
    "KerasObjectiveContract",
    "ObjectiveContract",
    "StatisticContract",
    "StoreContract",
    "check_objective",
    "findings_of",
]
