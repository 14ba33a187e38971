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
    """The process that owns what is attached.

    IF IT ENDS, nothing happens to traffic; the next one takes over. If the engine ends, another is started within a
    second (of several that share the packets, each alone). Until then decided flows go on, and so does everything in discover and monitor. In protect what needs a
    verdict waits in the packet rings; an engine that stays away is answered as attach --fail says. The affinity of
    the engine's thread segctl-packets changes by itself: it runs where its packets come from.

    IF SOMEBODY CHANGES the enforcer's namespace: a vin or vex that is deleted cuts its workload off (event); vbr-neuv
    and vth-neuv are made again, open flows kept, once a second at most. Until then new flows are dropped, those of
    --fail open too, the engine is `cut off`, and segctl_engine_up is 0. The namespace's name is restored. What destroys
    the namespace itself cuts all workloads off: use `segctl detach --all` first.
    """


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
    "--workers",
    type=int,
    metavar="N",
    help="Engines that share the packets (default: `workers` of the configuration, else one per four CPUs). With "
    "another number than before all begin anew: open flows are judged again, as those that began before.",
)
@click.option(
    "--metrics",
    metavar="ADDRESS:PORT",
    callback=lambda _ctx, _param, value: _address(value),
    help="Serve Prometheus metrics there too, to whoever can connect: 127.0.0.1:9478 "
    "(64 connections at a time, 5 s for a request).",
)
def run(
    config_file: Path | None,
    log_level: str,
    log_format: str,
    flow_cache: bool,
    workers: int | None,
    metrics: tuple[str, int] | None,
) -> None:
    """Run in the foreground, as systemd wants it. SIGTERM ends it; no packet is lost by that.

    A container that auto-attach selects is inspected 0.1 to 0.3 s after its runtime says that it started, after a
    reboot not before the agent runs; what it sends and gets until then is not. Podman without its service is asked
    by its program. The end of a process costs one look at all others (60 ms where there are 1,100), one for all
    that ended together. pyctl/agent/config.py shows the configuration, segctl.service beside it the unit.
    """
    options.require_root("agent run")
    from pyctl.block_imports import block_imports

    with block_imports("rich"):
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
        workers=workers,
    )


@agent.command()
@options.output
def status(as_json: bool) -> None:
    """Agent and engine in one look.

    The engine takes packets that no verdict decides from all ports alike. While 384 of them wait, no port may send it
    more than an equal pace (4,000 a second at least, while it keeps up with that), a peer half of it (an IPv6 network
    three quarters); who goes on sending more gets an eighth. The rest is dropped as port_share, in discover and monitor
    passed without a copy. A flood from many forged sources still costs the port that it is sent to.
    """
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
            **_workers(engine.get("workers", [])),
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
    render.warnings(map(_pending, found["pending"]))


@agent.command()
@click.option("--detach", is_flag=True, help="Detach every workload first.")
@options.dry_run
def stop(detach: bool, dry_run: bool) -> None:
    """End the agent.

    Without --detach everything stays spliced and steered: decided flows are carried, and the
    next agent takes over. With it nothing of segctl is left but files: policy, history and logs.
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


def _pending(work: dict[str, Any]) -> str:
    """Return a line on work that is desired and does not hold yet."""
    what = f"{work['kind']} {work['about']}".strip()
    return f"{what}: {work['why']} (tried {work['tries']} times, again in {work['next_s']:.0f} s)"


def _workers(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return a line for each of several engines."""
    if len(rows) < 2:
        return {}
    return {
        f"worker {number}": f"{_engine(row)}, {render.count(row['sessions'], 'session')}"
        for number, row in enumerate(rows)
    }


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
