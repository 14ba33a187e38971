"""segctl policy apply, get; and the other commands of the group, each in its module.

In: a policy's text. Out: what changes. I/O: the agent, a file or stdin.
"""

from __future__ import annotations

from typing import TextIO

import click

from pyctl.cli.policy.hits import hits
from pyctl.cli.policy.import_ import import_policy
from pyctl.cli.policy.learned import learned
from pyctl.cli.policy.log import log, rollback, show
from pyctl.cli.policy.schema import schema
from pyctl.cli.policy.simulate import simulate
from pyctl.cli.policy.test import test_policy
from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Group

DETAILS = """
RULES: the first that matches decides; what none matches is the mode's (segctl mode). Groups take workloads by name,
label or image, or addresses. A rule is judged at both ends, with `direction: egress` or `ingress` at one. `action:
reject` answers what it denies, by a reset or ICMP unreachable. With `stage: true` a rule is judged and recorded, not
enforced. What is sent to many is judged where it leaves and where it arrives: `to: multicast`, `to: broadcast` (the
subnets' too) or a group of CIDRs allow it. `segctl policy schema` has every field.

NAMES: a group of `fqdns: ["*.example.org", db.internal]` stands in `to` for the addresses that a workload was told for
these names; such a rule is judged where the flow is opened, and nobody else's question counts. `*.` is one label or more,
never the name itself, nor a part of a label. An answer counts if the workload waits for it and a rule lets it ask that
resolver (udp/53, tcp/53), also if the name that was asked for is an alias of one that is meant; the address stays in
the group for the TTL and 120 s more, and as long as a flow to it goes on. An address may have other names as
well: the SNI of TLS and QUIC, and the host of each HTTP request in the clear, must match the group of the rule that allows it, or the
flow ends (name_mismatch). So does what may hide a name: half a hello for 3 s, two names, a version of QUIC that is not read.
What shows no name passes, as other protocols, TLS without SNI, and HTTP to the address itself. `verify: false` compares
none: for forward proxies. Names of other alphabets are written in ASCII (xn--…). Answers under TLS or HTTPS (DoT, DoH)
are not seen: what only they told is not in the group. `segctl names WORKLOAD` shows what was learnt, `segctl policy test --name` asks.

APPLICATIONS: a rule with `apps: [PostgreSQL, TLS]` is for flows of tcp and udp that are these, by what both sides
send, whatever the port; one for HTTP holds for WebSocket and Elasticsearch too, for HTTP2 gRPC, for TLS DoT.
What is encrypted is TLS. Until the application is known, the first rule by addresses and ports counts: if it is one
for applications, the connection may open and its payload waits; then the first rule that takes the application decides.
A flow that stays unknown matches such a rule only with `app_unknown: allow` or `deny`, which then is what it does; a
flow that was open before is unknown. A staged rule for applications lets nothing wait, and records nothing of flows
that are denied anyway. `segctl policy test` without --app says what each application would give.

TLS: `tls: {sni: ["*.example.org", db.internal], alpn: [h2], min_version: "1.2"}` is for TLS, or `apps: [DoT, QUIC]`, and
asks for all that it has. `*.x` is one or more whole labels before x, not x; letters' case and a dot at the end do not
matter. The name is the one that the client sends, with ECH the outer one; without a name no `sni` matches. Which
protocol the server takes of those offered is encrypted: a rule that allows must name each, one that denies matches if
it names one. The version is the one that the server chooses; a client that offers none as high is refused at once. A
name that servers may read in several ways (two, one with a NUL), a second ClientHello for another name, or a message
out of turn matches each rule that denies and none that allows. Of QUIC each ClientHello of a flow counts, so it stays with the
engine; its version is 1.3. When the policy
changes, an open connection is known by its application and by what matched when it was decided: another rule that
asks of TLS matches it only if it denies and was not in force when the connection opened. So what only a new one would
allow ends, and so does what a new one might deny. `segctl policy test` takes --sni, --alpn and --tls-version.

REQUESTS: `http: {methods: [GET], paths: ["/api/*"], hosts: ["*.example.org"]}` is for HTTP/1, or for `apps` of HTTP,
WebSocket, HTTP2, gRPC, etcd, and asks for all that it has, of each request of a connection; `apps` mean what they mean
without it: HTTP is HTTP/1 alone, HTTP2 holds gRPC too, gRPC etcd. A call of gRPC has the path /package.Service/Method:
`apps: [gRPC], http: {paths: ["/helloworld.Greeter/*"]}`. HTTP/2 is read in the clear: with prior knowledge, and after
Upgrade: h2c. Under TLS it is TLS. A path counts without its query, in each way in which servers may read it. CONNECT must be
named, that of RFC 8441 (WebSocket over HTTP/2) too. A request that is denied ends its connection, with all its
streams; so does one that servers may read differently (bad_request), or that is not complete in 3 s. Of HTTP/2 no
request passes that HTTP/2 does not allow: fields that are there twice or out of order, another Host than :authority, names
with capitals, headers of connections, more than 64 KiB of fields, a header table beyond 64 KiB. It is read with
libnghttp2: without it (`segctl doctor`) no `http` rule that allows holds for HTTP/2, and each that denies does. Where no
rule for the same ends has `http` for them, HTTP2 and gRPC are told by a connection's first request alone.

CHANGES hold from the next packet on. A TCP connection that one denies gets a reset on both sides; a new connection
that is denied is dropped, or gets a reset with `options: {deny: reset}`.

THREATS: `threats: {web: {syn_flood: drop, tls_1_0: alert}}` says what is done at a threat, by group: off, alert, drop or
reset. Of several groups that name it the strictest holds, `any` only where no other does; `segctl threats` has all.

SENSORS: `sensors: {data: {patterns: [{id: order, regex: 'ORD-[0-9]{8}', part: body, severity: high}], groups: {web: drop}}}`
looks for patterns in payload, and does at a match what a group says, as with threats. Parts: `url`, a request's target as
it was sent, and decoded twice (+ is a space there); `header`, its header lines; `body`, its body, of a form decoded too;
`packet`, all bytes of a connection whatever its protocol, or of a datagram. The first three are read of HTTP/1 that is not
encrypted, from a connection's begin on; a request whose body servers may end at different places ends its connection where
something of them is dropped. drop and reset end the flow before the last byte of a match passes. `use: [NAME]` takes patterns
that come with segctl (`segctl sensors`), `show: true` lets events have the end of what matched. A regex is PCRE's, as
Hyperscan takes it, over bytes; flags are written in it: (?i), (?s), (?m) for ^ at each line. Lookaround and
back-references need `confirm: pcre2`, which looks once more at the 512 bytes up to the match's end, and no further. A
match that only ends where the next byte is known (\\b, $) counts with that byte. Flows of TCP under a sensor, and of
UDP under one of packets, stay with the engine. Connections from before are scanned from their next segment on, for packets
alone. `segctl policy test` and `simulate` know no payload: what a sensor would end passes there.

PORTS are those of TCP, UDP and SCTP. A port may be a name (`tcp/http`): each workload declares its number by a label
(segctl.port.http=8080, segctl.port.dns=53-udp); addresses declare none. Among the workloads of one target the 32
smallest numbers of a name are known: others are not allowed by it, and a workload with another one is denied the
whole protocol where the name is denied.

WITHOUT A RULE these pass: ARP, IPv6 neighbour discovery, IGMP, MLD. From a workload also DHCP clients' questions to
all, and to the server that answered one since the attach or the engine's start: four at once, then one in 15 s, 1,514
bytes each, with four answers; an older lease, or a relay's, is renewed by asking all (at 7/8 of its time). In protect
a workload sends ARP and neighbour discovery for its own addresses and MAC alone, frames of 60 and 102 bytes at most,
16 KiB/s together (32 KiB at once); router advertisements, redirects and DHCP answers only with attach --serves.
discover and monitor record that, and drop only what is in another attached workload's name or asks whether its
address is free. A workload in protect takes such messages from no attached one of its bridge that does not serve
them, and redirects, IPv4's too, from nobody else at all: they give routes away. An answer to a question to a group
passes for 10 s, from the port that was asked, of SSDP and WS-Discovery from any; a port remembers 32 questions that
it asked, and 32 that it heard, which its workload may answer.

NEVER in protect: IPv4 source routes, IPv6 routing headers with segments left. IP under tags of VLAN 0, two at most,
is judged as IP; on u32 it is a tagged frame.

ONE ADDRESS, SEVERAL WORKLOADS: on a bridge of veths alone an address is that of who has it there. What comes with it
over the host is dropped there in protect (spoofed_mac), and so is what such a workload sends through the host to its
own bridge without NAT. Where no holder is on the port's bridge, or that is none of veths alone or is not known
(macvlan, routed), and on u32, such an address may do what all of its holders may.

OPEN BEFORE THE ATTACH: a TCP connection is kept where the rules let either end open it; one to a port that the
workload listens on, from a larger one, only where they let the other end in. So a service that others may ask can at
any time send them TCP segments without SYN, to any of their ports; no connection opens by them.
"""


@click.group(cls=Group, epilog=DETAILS)
def policy() -> None:
    """Who may talk to whom."""


@policy.command("apply")
@options.policy_file
@click.option("-m", "--comment", default="", help="Why; `policy log` shows it.")
@options.dry_run
@options.output
def apply_policy(file: TextIO, comment: str, dry_run: bool, as_json: bool) -> None:
    """Put a policy in the place of the one in force, at once.

    It holds at every workload or at none. The open flows that it cuts are named.

    LOCK-OUT: it holds from the next packet on, for open connections too. Look at --dry-run first
    if your own session goes through a workload in protect.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    answer = client.apply_policy(
        options.text_of(file),
        dry_run=dry_run,
        author=options.author(),
        comment=comment,
    )
    render.applied(answer, dry_run=dry_run, json_too=as_json)


@policy.command("get")
@options.output
def get_policy(as_json: bool) -> None:
    """The policy in force, as it was written."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).policy()
    if as_json:
        render.as_json(answer)
    else:
        click.echo(answer["text"], nl=not answer["text"].endswith("\n"))


for command in (
    import_policy,
    learned,
    simulate,
    test_policy,
    hits,
    schema,
    log,
    show,
    rollback,
):
    policy.add_command(command)
