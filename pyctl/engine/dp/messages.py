"""Datagrams of the dp protocol as typed requests: sans-io.

In: the bytes of one datagram. Out: one of the requests below, or UsageError. I/O: none.
Source: NeuVector's agent and dp. A datagram is a JSON object with one top-level key, the message's name;
8192 bytes at most. Fields that a message does not have are ignored, as the dp ignores them; a field
that it has must be of its type. The dp's own client leaves `null` for an empty list.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pyctl.engine.dp.fields import U8, U16, U32, Fields
from pyctl.errors import UsageError

MAX_DATAGRAM = 8192
UCMAC_PREFIX = "4e:65:75:56:"


class Part(enum.IntFlag):
    """The part of a set that comes in several datagrams."""

    START = 1
    END = 2


class Command(enum.IntEnum):
    """The `cmd` of ctrl_cfg_policy."""

    ADD = 1
    MODIFY = 2
    DELETE = 3


class ApplyDir(enum.IntFlag):
    """The `dir` of ctrl_cfg_policy: where this cluster evaluates traffic between workloads."""

    EGRESS = 1
    INGRESS = 2


class PolicyAction(enum.IntEnum):
    """The action of a dp policy (NeuVector's numbers)."""

    OPEN = 0
    LEARN = 1
    ALLOW = 2
    CHECK_VH = 3
    CHECK_NBE = 4
    CHECK_APP = 5
    VIOLATE = 6
    DENY = 7


@dataclass(frozen=True)
class KeepAlive:
    """A request whether anybody is there; the number comes back."""

    seq_num: int


@dataclass(frozen=True)
class AddServicePort:
    """A request to read and write frames on this interface. Frames of any size fit, jumbo or not."""

    iface: str
    jumboframe: bool


@dataclass(frozen=True)
class DeleteServicePort:
    """A request to close the rings on this interface."""

    iface: str


@dataclass(frozen=True)
class InternalNet:
    """The subnets that are not "external"; an empty list: everything is internal."""

    part: Part
    subnets: tuple[IPv4Network, ...]


@dataclass(frozen=True)
class AddMac:
    """A request to add a workload's interface as an endpoint."""

    iface: str
    mac: str
    ucmac: str | None
    """None: an endpoint without a detour of its own (a service mesh's loopback)."""
    bcmac: str | None
    oldmac: str | None
    pmac: str | None
    pips: tuple[IPv4Address, ...]


@dataclass(frozen=True)
class DeleteMac:
    """A request to delete an endpoint, with its policy and sessions."""

    iface: str
    mac: str


@dataclass(frozen=True)
class App:
    """A port that a workload listens on."""

    ip_proto: int
    port: int
    app: int
    server: int


@dataclass(frozen=True)
class ConfigMac:
    """A request to set tap or inline, and the ports that the workload listens on."""

    macs: tuple[str, ...]
    tap: bool | None
    """None: as it is."""
    apps: tuple[App, ...] | None
    """None: as they are."""


@dataclass(frozen=True)
class AppRule:
    """The action of a CHECK_APP rule for one application."""

    app: int
    action: PolicyAction
    rule_id: int


@dataclass(frozen=True)
class Rule:
    """A rule; the workload is its destination if `ingress`, else its source."""

    rule_id: int
    sip: IPv4Address
    sipr: IPv4Address
    """Equal to `sip`: one address, no range."""
    dip: IPv4Address
    dipr: IPv4Address
    port: int
    portr: int
    proto: int
    """IPPROTO_*; 0: any."""
    action: PolicyAction
    ingress: bool
    fqdn: str
    vhost: bool
    apps: tuple[AppRule, ...]


@dataclass(frozen=True)
class ConfigPolicy:
    """A part of the whole policy of these MACs, which replaces the former one."""

    cmd: Command
    part: Part
    defact: PolicyAction
    dir: ApplyDir
    macs: tuple[str, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class CountSession:
    """A request for the number of open sessions."""


@dataclass(frozen=True)
class ListSession:
    """A request for all sessions."""


@dataclass(frozen=True)
class CounterDevice:
    """A request for the counters of the data plane."""


@dataclass(frozen=True)
class SetDebug:
    """A request to set what is logged."""

    categories: tuple[str, ...]


@dataclass(frozen=True)
class GetDebug:
    """A request for what is logged."""


Message = (
    KeepAlive
    | AddServicePort
    | DeleteServicePort
    | InternalNet
    | AddMac
    | DeleteMac
    | ConfigMac
    | ConfigPolicy
    | CountSession
    | ListSession
    | CounterDevice
    | SetDebug
    | GetDebug
)


def _keep_alive(body: Fields) -> KeepAlive:
    return KeepAlive(body.number("seq_num", U32))


def _add_srvc_port(body: Fields) -> AddServicePort:
    return AddServicePort(body.iface("iface"), body.flag("jumboframe", False))


def _del_srvc_port(body: Fields) -> DeleteServicePort:
    return DeleteServicePort(body.iface("iface"))


def _internal_net(body: Fields) -> InternalNet:
    subnets = tuple(item.subnet() for item in body.objects("subnet_addr"))
    return InternalNet(Part(body.number("flag", 3)), subnets)


def _add_mac(body: Fields) -> AddMac:
    ucmac = body.optional_mac("ucmac")
    if ucmac is not None and not ucmac.startswith(UCMAC_PREFIX):
        raise UsageError(
            f"{body.where}.ucmac must begin with {UCMAC_PREFIX}, not be {ucmac}"
        )
    return AddMac(
        iface=body.iface("iface"),
        mac=body.mac("mac"),
        ucmac=ucmac,
        bcmac=body.optional_mac("bcmac"),
        oldmac=body.optional_mac("oldmac"),
        pmac=body.optional_mac("pmac"),
        pips=tuple(item.address("ip") for item in body.objects("pips"))
        if body.has("pips")
        else (),
    )


def _del_mac(body: Fields) -> DeleteMac:
    return DeleteMac(body.iface("iface"), body.mac("mac"))


def _cfg_mac(body: Fields) -> ConfigMac:
    apps = None
    if body.has("apps"):
        apps = tuple(
            App(
                item.number("ip_proto", U8),
                item.number("port", U16),
                item.number("app", U32, 0),
                item.number("server", U32, 0),
            )
            for item in body.objects("apps")
        )
    tap = body.flag("tap") if body.has("tap") else None
    return ConfigMac(body.macs("macs"), tap, apps)


def _action(body: Fields, name: str) -> PolicyAction:
    return PolicyAction(body.number(name, max(PolicyAction)))


def _rule(body: Fields) -> Rule:
    sip, dip = body.address("sip"), body.address("dip")
    sipr = body.address("sipr") if body.has("sipr") else sip
    dipr = body.address("dipr") if body.has("dipr") else dip
    port = body.number("port", U16)
    return Rule(
        rule_id=body.number("id", U32),
        sip=sip,
        sipr=max(sip, sipr),
        dip=dip,
        dipr=max(dip, dipr),
        port=port,
        portr=max(port, body.number("portr", U16, 0)),
        proto=body.number("proto", U8),
        action=_action(body, "action"),
        ingress=body.flag("ingress"),
        fqdn=body.text("fqdn", ""),
        vhost=body.flag("vhost", False),
        apps=tuple(
            AppRule(
                item.number("app", U32),
                _action(item, "action"),
                item.number("rid", U32),
            )
            for item in body.objects("apps")
        )
        if body.has("apps")
        else (),
    )


def _cfg_policy(body: Fields) -> ConfigPolicy:
    cmd = body.number("cmd", max(Command))
    if not cmd:
        raise UsageError(f"{body.where}.cmd must be 1 (add), 2 (modify) or 3 (delete)")
    return ConfigPolicy(
        cmd=Command(cmd),
        part=Part(body.number("flag", 3)),
        defact=_action(body, "defact"),
        dir=ApplyDir(body.number("dir", 3)),
        macs=body.macs("mac"),
        rules=tuple(_rule(item) for item in body.objects("rules")),
    )


def _set_debug(body: Fields) -> SetDebug:
    categories = body.items("categories")
    if not all(isinstance(name, str) for name in categories):
        raise UsageError(f"{body.where}.categories must be a list of strings")
    return SetDebug(tuple(categories))


_PARSERS: dict[str, Callable[[Fields], Message]] = {
    "ctrl_keep_alive": _keep_alive,
    "ctrl_add_srvc_port": _add_srvc_port,
    "ctrl_del_srvc_port": _del_srvc_port,
    "ctrl_cfg_internal_net": _internal_net,
    "ctrl_add_mac": _add_mac,
    "ctrl_del_mac": _del_mac,
    "ctrl_cfg_mac": _cfg_mac,
    "ctrl_cfg_policy": _cfg_policy,
    "ctrl_count_session": lambda _: CountSession(),
    "ctrl_list_session": lambda _: ListSession(),
    "ctrl_counter_device": lambda _: CounterDevice(),
    "ctrl_set_debug": _set_debug,
    "ctrl_get_debug": lambda _: GetDebug(),
}


def parse(datagram: bytes) -> Message:
    """Return the request that a datagram carries.

    UsageError for everything else: no JSON, no object, not one key, a message that is unknown or
    not served, a field that is missing or of another type or range.
    """
    if len(datagram) > MAX_DATAGRAM:
        raise UsageError(f"a datagram of more than {MAX_DATAGRAM} bytes")
    try:
        whole = json.loads(datagram)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"a datagram of {len(datagram)} bytes without JSON: {str(error)[:80]}"
        ) from error
    if not isinstance(whole, dict) or len(whole) != 1:
        raise UsageError("a message is one JSON object with one key, its name")
    name, body = next(iter(whole.items()))
    parser = _PARSERS.get(name)
    if parser is None:
        raise UsageError(f"no message {name[:60]!r} is served here")
    try:
        return parser(Fields.of(body, name))
    except RecursionError as error:
        # A value that json could just read may be too deep to show in an error.
        raise UsageError(f"{name} is nested too deep") from error
