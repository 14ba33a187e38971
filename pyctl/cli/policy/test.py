"""segctl policy test.

In: two ends and a port. Out: what becomes of a new connection, and why. I/O: the agent, a file.
"""

from __future__ import annotations

from typing import Any, TextIO

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command


@click.command("test", cls=Command)
@click.option("--from", "source", required=True, help="A workload, or an address.")
@click.option(
    "--to", "target", required=True, help="A workload, or an address: who is asked."
)
@click.option("--port", required=True, help="tcp/80, udp/53, sctp/3868, icmp, icmp/13.")
@click.option(
    "--app",
    metavar="NAME",
    help="Its application, like PostgreSQL; or unknown: none is recognised.",
)
@click.option(
    "--sni", metavar="NAME", help="The name that it sends as a client of TLS; '': none."
)
@click.option(
    "--alpn",
    metavar="NAMES",
    help="The protocols that it offers: h2,http/1.1; '': none.",
)
@click.option(
    "--tls-version",
    metavar="VERSION",
    help="The one that the server chooses, like 1.3.",
)
@click.option("--method", metavar="NAME", help="Of a request of HTTP: GET.")
@click.option("--host", metavar="NAME", help="The host that the request names.")
@click.option("--path", metavar="PATH", help="Its path: /api/one.")
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="A DNS name under which --from looked --to up; repeatable, for a chain of them.",
)
@click.option(
    "-f",
    "--file",
    "file",
    type=click.File("r", encoding="utf-8"),
    help="Ask this policy, which is not applied; - is stdin.",
)
@click.option(
    "--expect",
    type=click.Choice(["allow", "deny"]),
    help="Fail (exit code 1) where it is not so.",
)
@options.output
@click.pass_context
def test_policy(
    ctx: click.Context,
    source: str,
    target: str,
    port: str,
    app: str | None,
    sni: str | None,
    alpn: str | None,
    tls_version: str | None,
    names: tuple[str, ...],
    method: str | None,
    host: str | None,
    path: str | None,
    file: TextIO | None,
    expect: str | None,
    as_json: bool,
) -> None:
    """What becomes of a new connection: the rule that decides, and why none before it does.

    Nothing is sent. Each attached end answers for itself: its rules, and what its mode makes of them.
    Where a rule is for applications and --app is not given, the answer names what each would give;
    --expect fails unless all of them agree. With --sni, --alpn or --tls-version it is TLS, with --method, --host or --path
    a request of HTTP. Without --name an address is in no group of DNS names.
    """
    from pyctl.api.client import AgentClient

    text = None if file is None else options.text_of(file)
    client = AgentClient(options.instance())
    offered = None if alpn is None else [one for one in alpn.split(",") if one]
    shown = {"app": app, "sni": sni, "alpn": offered, "tls_version": tls_version}
    shown |= {"method": method, "host": host, "path": path}
    answer = client.test_policy(
        source, target, port, text, names=list(names) or None, **shown
    )
    if as_json:
        render.as_json(answer)
    else:
        _show(answer, f"{source} → {target} {port}" + (f" {app}" if app else ""))
    if expect is not None and answer["opens"] is not (expect == "allow"):
        ctx.exit(1)


_WORDS = {True: "passes", False: "is denied", None: "depends on what it shows"}


def _show(answer: dict[str, Any], what: str) -> None:
    word = _WORDS[answer["opens"]]
    if answer["by_app"] and answer["opens"] is None:
        word = "depends on the application"
    click.echo(f"{render.safe(what)} {word} ({answer['source']} → {answer['target']})")
    for one in answer["shared"]:
        names = " and ".join(map(render.safe, one["workloads"]))
        click.echo(
            f"{one['address']} is shared by {names}: it may do what each of them may"
        )
    if answer["by_app"]:
        render.table(
            ("APPLICATION", "VERDICT", "BY"), list(map(_app_row, answer["by_app"]))
        )
    if not answer["ends"]:
        click.echo("neither end is attached: nothing is judged")
    for end in answer["ends"]:
        click.echo()
        render.heading(
            f"{end['direction']} at {end['workload']}, {end['mode']}: {_said(end)}"
        )
        render.table(
            ("RULE", "SAYS", "WHY NOT"),
            [
                (rule["id"], rule["text"], rule["why_not"] or _decides(end))
                for rule in end["rules"]
            ],
        )


def _decides(end: dict[str, Any]) -> str:
    if end["needs_http"]:
        return "it decides, if the request is as it asks"
    if end["needs_tls"]:
        return "it decides, if TLS shows what it asks"
    return (
        "it decides, if it is for the application" if end["needs_app"] else "it decides"
    )


def _app_row(one: dict[str, Any]) -> tuple[str, str, str]:
    rules = ["no rule" if rule is None else f"rule {rule}" for rule in one["rules"]]
    recorded = [reason for reason in one["reasons"] if reason]
    word = _WORDS[one["opens"]]
    if one["opens"] and recorded:
        word += f", recorded as {recorded[0]}"
    return ", ".join(one["apps"]), word, ", ".join(dict.fromkeys(rules))


def _said(end: dict[str, Any]) -> str:
    if not end["reached"]:
        return "not reached"
    if end["needs_app"]:
        return "a rule waits for the application"
    if end["needs_http"]:
        return "a rule waits for the request"
    if end["needs_tls"]:
        return "a rule waits for what TLS shows"
    word = "passes" if end["passes"] else "dropped"
    if end["rejects"]:
        word = "dropped and answered"
    says = "no rule matches" if end["says"] == "no rule" else f"a rule {end['says']}s"
    if end["says"] == "deny":
        says = "a rule denies"
    recorded = f", recorded as {end['reason']}" if end["reason"] else ""
    return f"{says}, {word}{recorded}"
