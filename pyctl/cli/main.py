"""The segctl group: which command lives where, and what a failure does to the exit code.

In: argv. Out: an exit code. I/O: stderr.
A command's module is imported when the command is called or its help is shown; every module here
imports only click and the base layer at its head, so that `segctl --help` is immediate.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from pyctl.cli.shared.once import Group
from pyctl.errors import SegctlError

COMMANDS = {
    "doctor": "pyctl.cli.doctor:doctor",
    "attach": "pyctl.cli.attach:attach",
    "detach": "pyctl.cli.attach:detach",
    "list": "pyctl.cli.workload:list_workloads",
    "show": "pyctl.cli.workload:show",
    "mode": "pyctl.cli.workload:mode",
    "rules": "pyctl.cli.workload:rules",
    "policy": "pyctl.cli.policy.group:policy",
    "flows": "pyctl.cli.flows:flows",
    "names": "pyctl.cli.names:names",
    "top": "pyctl.cli.top:top",
    "events": "pyctl.cli.events:events",
    "threats": "pyctl.cli.threats:threats",
    "sensors": "pyctl.cli.threats:sensors",
    "dump-maps": "pyctl.cli.maps:dump_maps",
    "agent": "pyctl.cli.agent:agent",
    "engine": "pyctl.cli.engine:engine",
}
"""In the order of a first use, which is the order of the help."""


class SegctlGroup(Group):
    """The group of commands, loaded late; a SegctlError becomes one message and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command; None for a name that is no command."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a SegctlError is printed and gives the exit code."""
        try:
            return super().invoke(ctx)
        except SegctlError as error:
            click.echo(f"segctl: {error}", err=True)
            ctx.exit(error.exit_code)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the process. click ends quietly where nobody reads; other errors on stdout are reported."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            click.echo(f"segctl: {error}", err=True)
            sys.exit(SegctlError.exit_code)


@click.group(
    cls=SegctlGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="segctl", prog_name="segctl")
def main() -> None:
    """Micro-segmentation for running containers.

    segctl splices itself into a container's network port, inspects its traffic, allows or denies
    each flow, and lets the kernel carry what is decided.

    \b
    Exit codes: 0 done · 1 failed · 2 wrong usage · 3 nothing such
                4 not permitted, or this host is not capable (see segctl doctor)
    Environment: SEGCTL_INSTANCE names the instance (default: segctl).
    """  # noqa: D301  \b is click's, and must be the character


if __name__ == "__main__":
    main(prog_name="segctl")
