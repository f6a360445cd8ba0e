"""Options of a run in the shell: fields of a machine and of a call, declared in one place."""

import pytest
import typer

from refine.run.workers.pool import Pool
from refine.ui.cli import app
from refine.ui.cli.shared import RUN_OPTIONS

DECLARED = {name: field.metadata["shell"] for name, field in RUN_OPTIONS.items()}


def options_of(command):
    return {option.name: option for option in typer.main.get_command(app).commands[command].params}


@pytest.mark.parametrize("name", DECLARED)
def test_every_declared_option_of_a_run_is_an_option_of_refine_run(name):
    option = options_of("run")[name]
    assert option.help == DECLARED[name]["help"]


def test_commands_that_repeat_trials_take_workers_and_limits():
    shared = DECLARED.keys() & options_of("confirm").keys()
    assert shared == {"workers", "threads", "timeout", "memory"}


def test_the_pool_of_workers_has_every_ability():
    assert all(Pool.capabilities)
