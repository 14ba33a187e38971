"""segctl agent run, status, stop, log-level.

In: options. Out: the agent's state. I/O: the agent; `run` becomes it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Group


@click.group(cls=Group)
def agent() -> None:
    """The process that owns what is attached."""


@agent.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Containers to attach as they start, and where to ask for them "
    "(default: /etc/segctl/agent.yaml where there is one).",
)
@options.log_level
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    help="auto: console on a terminal, else json.",
)
@options.flow_cache
@click.option(
    "--metrics",
    metavar="ADDRESS:PORT",
    callback=lambda _ctx, _param, value: _address(value),
    help="Serve Prometheus metrics there too, to whoever can connect: 127.0.0.1:9478.",
)
def run(
    config_file: Path | None,
    log_level: str,
    log_format: str,
    flow_cache: bool,
    metrics: tuple[str, int] | None,
) -> None:
    """Run in the foreground, as systemd wants it. SIGTERM ends it; no packet is lost by that."""
    options.require_root("agent run")
    from pyctl.block_imports import without

    with without("rich"):
        from pyctl import daemon

    if log_format == "auto":
        log_format = "console" if os.isatty(2) else "json"
    daemon.run(
        options.instance(),
        config_file=config_file,
        log_level=log_level,
        log_format=log_format,
        flow_cache=flow_cache,
        metrics=metrics,
    )


@agent.command()
@options.output
def status(as_json: bool) -> None:
    """Agent and engine in one look."""
    from pyctl.api.client import AgentClient

    found = AgentClient(options.instance()).status()
    if as_json:
        render.as_json(found)
        return
    engine = found["engine"]
    render.facts(
        {
            "agent": f"pid {found['pid']}, up {found['uptime_s']:.0f} s",
            "version": f"{found['version']} (ABI {found['abi']})",
            "instance": found["instance"],
            "log level": found["log_level"],
            "datapath": found["datapath"],
            "engine": _engine(engine),
            "ring drops": engine["ring_drops"],
            "sessions": engine["sessions"],
            "flow map": render.flow_map(engine["flow_map"]),
            "workloads": f"{found['workloads']} ({render.count(found['ports'], 'port')})",
            "policy": render.count(found["policy_rules"], "rule"),
            "history": _history(found["history"]),
            "auto-attach": "; ".join(found["auto_attach"]) or "off",
        }
    )
    render.warnings(found["warnings"])


@agent.command()
@click.option("--detach", is_flag=True, help="Detach every workload first.")
@options.dry_run
def stop(detach: bool, dry_run: bool) -> None:
    """End the agent.

    Without --detach everything stays spliced and steered: decided flows are carried, and the
    next agent takes over. With it nothing of segctl is left.
    """
    from pyctl.api.client import AgentClient
    from pyctl.cli.shared.start import stop_agent

    client = AgentClient(options.instance())
    pid = client.status()["pid"]
    if dry_run:
        plan = client.detach(all=True, dry_run=True)["plan"] if detach else []
        render.steps([*plan, f"end the agent, pid {pid}"], would=True)
        return
    answer = stop_agent(client, detach=detach)
    for name in answer["detached"]:
        click.echo(f"detached {render.safe(name)}")
    click.echo(f"the agent (pid {pid}) ended")


@agent.command("log-level")
@click.argument("level", type=click.Choice(options.LEVELS))
def log_level(level: str) -> None:
    """How much agent and engine log, until the agent ends."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).set_log_level(level)
    click.echo(f"log level: {answer['before']} → {answer['after']}")


def _address(value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise click.BadParameter(f"{value!r} is no ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _history(found: dict[str, Any]) -> str:
    words = [f"not recording: {found['why_not']}"]
    if found["recording"]:
        words = [f"recording, {found['bytes'] / 2**20:.1f} MiB"]
    if found["lost"]:
        words.append(f"{render.count(found['lost'], 'record')} lost")
    return ", ".join(words)


def _engine(found: dict[str, Any]) -> str:
    words = [found["state"]]
    if found["pid"] is not None:
        words.append(f"pid {found['pid']}")
    if found["heartbeat_age_ms"] is not None:
        words.append(f"heartbeat {found['heartbeat_age_ms']:.0f} ms ago")
    if found["restarts"]:
        words.append(render.count(found["restarts"], "restart"))
    if found["pace"] is not None:
        words.append(f"no port may send it more than {found['pace']} packets/s")
    return ", ".join(words)
