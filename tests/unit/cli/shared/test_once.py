"""No option of any command is dropped in silence where it is given twice."""

from __future__ import annotations

import click
import pytest

from pyctl.cli.main import main
from pyctl.cli.shared.once import Command
from tests.unit.cli.test_main import leaves

GIVEN_TWICE = [
    (path, option)
    for path, command in leaves(main)
    for option in command.params
    if isinstance(option, click.Option)
    and not option.multiple
    and (not option.is_flag or option.secondary_opts)
]


def test_every_command_is_one_of_ours():
    assert all(isinstance(command, Command) for _, command in leaves(main))


@pytest.mark.parametrize(("path", "option"), GIVEN_TWICE)
def test_an_option_that_takes_one_value_is_refused_twice(agent, segctl, path, option):
    value = [] if option.is_flag else ["1"]
    once = [option.opts[-1], *value]
    done = segctl(*path, *once, *once)
    assert done.exit_code == 2
    assert "is given more than once" in done.stderr
    assert agent.asked == []


def test_a_flag_means_the_same_twice(agent, segctl):
    assert segctl("detach", "--all", "--dry-run", "--dry-run").exit_code == 0


def test_an_option_and_its_opposite_are_refused(agent, segctl):
    done = segctl("attach", "--pid", "1", "--any-source", "--own-source")
    assert "--any-source/--own-source is given more than once" in done.stderr
    assert done.exit_code == 2
