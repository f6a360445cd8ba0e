"""Options of a run in the shell, and keys of the project file."""

import dataclasses

import typer

import refine
from refine.run.workers.pool import Pool
from refine.ui.cli import app
from refine.ui.project import KEYS


def options_of(command):
    params = typer.main.get_command(app).commands[command].params
    return {option.name for option in params if option.param_type_name == "option"}


def test_plain_fields_of_a_machine_are_keys_of_the_project_file():
    fields = {f.name for f in dataclasses.fields(refine.Machine) if f.init}
    assert fields - set(KEYS["machine"]) == {"executor", "progress", "on_trial", "on_round"}


def test_commands_that_run_trials_take_workers_and_any_value_of_the_project_file():
    for command in ("run", "confirm", "judge", "holdout", "replay"):
        assert {"workers", "settings", "project_file", "objective", "command"} <= options_of(command)


def test_the_pool_of_workers_has_every_ability():
    assert all(Pool.capabilities)
