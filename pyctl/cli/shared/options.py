"""Options that several commands share, and the checks behind them.

In: click. Out: decorators and values. I/O: the effective user id.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from pyctl.errors import NotPermittedError
from pyctl.model.instance import Instance
from pyctl.model.log_level import LogLevel

LEVELS = [level.value for level in LogLevel]
F = TypeVar("F", bound=Callable[..., Any])


def output(command: F) -> F:
    """Add -o table|json, as `as_json: bool`."""
    return click.option(
        "-o",
        "--output",
        "as_json",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        callback=lambda _ctx, _param, value: value == "json",
        help="How to print the answer.",
    )(command)


def dry_run(command: F) -> F:
    """Add --dry-run, as `dry_run: bool`."""
    return click.option(
        "--dry-run", is_flag=True, help="Print the plan and change nothing."
    )(command)


def policy_file(command: F) -> F:
    """Add -f, a file with a policy, as `file`."""
    return click.option(
        "-f",
        "--file",
        "file",
        type=click.File("r", encoding="utf-8"),
        required=True,
        help="YAML or JSON; - is stdin.",
    )(command)


def container_host(command: F) -> F:
    """Add --container-host, which defaults to CONTAINER_HOST or DOCKER_HOST."""
    return click.option(
        "--container-host",
        metavar="URL",
        envvar=["CONTAINER_HOST", "DOCKER_HOST"],
        help="Unix socket of the container daemon (default: CONTAINER_HOST, DOCKER_HOST, "
        "then the usual places).",
    )(command)


def log_level(command: F) -> F:
    """Add --log-level, for a process that is started."""
    return click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default=LogLevel.INFO.value,
        show_default=True,
        help="How much it logs.",
    )(command)


def flow_cache(command: F) -> F:
    """Add --flow-cache and --no-flow-cache."""
    return click.option(
        "--flow-cache/--no-flow-cache",
        default=True,
        help="Without it every packet goes through the engine (for measuring).",
    )(command)


def limit(default: int) -> Callable[[F], F]:
    """Return a decorator that adds --limit N."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 10000),
        default=default,
        show_default=True,
        help="The last so many.",
    )


def text_of(file: TextIO) -> str:
    """Return the content of a file that a command was given; raise click.BadParameter if it is not UTF-8."""
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file.name} is not UTF-8: {error}") from error


def author() -> str:
    """Return who gives the command, for the record: the user behind sudo, else the one who runs it."""
    named = os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
    return named if named.isprintable() else ""


def instance() -> Instance:
    """Return the instance that the environment names."""
    return Instance.from_environment()


def require_root(command: str) -> None:
    """Raise NotPermittedError for anybody but root."""
    if os.geteuid() != 0:
        raise NotPermittedError(
            f"`segctl {command}` changes network interfaces and needs root",
            state="nothing was touched",
            advice=f"run `sudo segctl {command}`",
        )
