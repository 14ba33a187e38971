"""The command line's contract: exit codes, JSON alone on stdout, help, a fast start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pyctl.cli.main import COMMANDS, main
from pyctl.errors import ALL

READING = [
    ("list",),
    ("show", "web"),
    ("rules", "web"),
    ("rules",),
    ("policy", "get"),
    ("flows",),
    ("events",),
    ("agent", "status"),
]
MUTATING = [
    ("attach", "--pid", "4242"),
    ("detach", "--all"),
    ("mode", "web", "protect"),
    ("policy", "apply", "-f", "-"),
    ("agent", "stop"),
]
ROOT = Path(__file__).parents[3]
HELP = Path(__file__).with_name("help.txt")


def leaves(command: click.Command, path: tuple[str, ...] = ()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from leaves(command.get_command(context, name), (*path, name))
    else:
        yield path, command


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_reading_commands_give_a_table_or_json_alone(agent, segctl, argv):
    table = segctl(*argv)
    assert table.exit_code == 0
    assert table.stdout.strip()
    assert "\x1b" not in table.stdout
    answer = segctl(*argv, "-o", "json")
    assert answer.exit_code == 0
    assert isinstance(json.loads(answer.stdout), dict)
    assert answer.stderr == ""


@pytest.mark.parametrize("argv", MUTATING, ids=" ".join)
def test_mutating_commands_have_a_dry_run_that_prints_a_plan(agent, segctl, argv):
    done = segctl(*argv, "--dry-run", input="x")
    assert done.exit_code == 0
    assert "would" in done.stdout
    for method, path, body in agent.asked:
        assert method == "GET" or body["dry_run"], path


@pytest.mark.parametrize("argv", [*READING, *MUTATING], ids=" ".join)
@pytest.mark.parametrize("kind", ALL)
def test_an_error_is_one_message_and_its_exit_code(agent, segctl, argv, kind):
    agent.fails = kind("it was tried", state="as before", advice="do that")
    done = segctl(*argv, input="x")
    assert done.exit_code == kind.exit_code
    assert done.stderr == "segctl: it was tried. As before. Do that.\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    "argv",
    [
        ("attach",),
        ("attach", "--pid", "1", "--container", "web"),
        ("attach", "--pid", "0"),
        ("attach", "--pid", "1", "--label", "nonsense"),
        ("attach", "--pid", "1", "--label", "-"),
        ("attach", "--pid", "1", "--label", "a=b", "--label", "a-"),
        ("attach", "--pid", "1", "--mode", "quarantine"),
        ("detach",),
        ("detach", "--all", "--pid", "1"),
        ("detach", "web", "--container", "web"),
        ("mode", "web", "off"),
        ("policy", "apply"),
        ("policy", "apply", "-f", "/nonexistent/policy"),
        ("events", "--limit", "0"),
        ("list", "-o", "xml"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_asks_nobody(agent, segctl, argv):
    done = segctl(*argv)
    assert done.exit_code == 2
    assert done.stderr
    assert agent.asked == []


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_without_an_agent_reading_fails_with_what_to_do(instance, segctl, argv):
    done = segctl(*argv)
    assert done.exit_code == 1
    assert "segctl agent run" in done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("attach", "--pid", "1"),
        ("detach", "--all"),
        ("dump-maps",),
        ("engine",),
        ("agent", "run"),
    ],
    ids=" ".join,
)
def test_without_root_it_is_4(agent, segctl, monkeypatch, argv):
    monkeypatch.setattr("pyctl.cli.shared.options.os.geteuid", lambda: 1000)
    done = segctl(*argv)
    assert done.exit_code == 4
    assert "root" in done.stderr
    assert agent.asked == []


def test_an_impossible_instance_name_is_wrong_usage(segctl, monkeypatch):
    monkeypatch.setenv("SEGCTL_INSTANCE", "../etc")
    assert segctl("list").exit_code == 2


def test_every_command_has_help_and_the_table_names_them_all():
    found = dict(leaves(main))
    assert {path[0] for path in found} == set(COMMANDS)
    for path, command in found.items():
        assert command.help, path


@pytest.mark.parametrize("command", ["attach", "mode", "policy apply"])
def test_what_can_lock_out_says_so(segctl, command):
    assert "LOCK-OUT" in segctl(*command.split(), "--help").stdout


@pytest.mark.parametrize("argv", [("policy", "schema"), ("--version",)], ids=" ".join)
def test_a_full_disk_behind_stdout_is_one_message(argv):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pyctl.cli.main", *argv],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.stderr == "segctl: [Errno 28] No space left on device\n"
    assert done.returncode == 1


def test_the_help_is_as_recorded(segctl):
    """Users rely on it; to change it, put the new text into help.txt."""
    assert segctl("--help", terminal_width=100).stdout == HELP.read_text(
        encoding="utf-8"
    )


def test_the_help_loads_nothing_heavy():
    """It has 0.2 s, so no module behind the API and no table library may be loaded."""
    code = (
        "import sys; from pyctl.cli.main import main\n"
        "try: main(['--help'], prog_name='segctl')\n"
        "except SystemExit: pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    heavy = ("pydantic", "rich", "pyroute2", "bcc", "cffi", "http.client", "asyncio")
    heavy += ("fastapi", "structlog", "yaml", "docker", "pyctl.agent", "pyctl.platform")
    assert [name for name in heavy if f"'{name}'" in done.stderr] == []
