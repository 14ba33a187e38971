"""The classes of the node's policy in the kernel's map: one version at a time, whoever wrote it."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

import pytest

from pyctl import abi
from pyctl.datapath.maps import address_text
from pyctl.engine.client import EngineClient
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule, PortMatch
from tests import packets
from tests.lab.segctl.engine import EngineLab

RULES = NodePolicy(
    ("any", "net", "web"),
    {1: (ip_network(packets.net_ip4), ip_network(packets.net_ip6))},
    (NodeRule(1, 1, 2, (PortMatch(0),), Action.ALLOW),),
)
WEB = Members({}, {ip_address(packets.pod_one_ip4): (0, 2)})
EVERYBODY = {"0.0.0.0/0", "::/0"}
NETS = EVERYBODY | {packets.net_ip4, packets.net_ip6}
ALONE = f"{packets.pod_one_ip4}/32"
LEFT_BEHIND = 9
WORKERS = abi.constant("SEG_WORKERS_MAX")


class Pins:
    """The maps of an engine."""

    def __init__(self, lab: EngineLab, entries: int = 1024) -> None:
        self.maps = lab.pin_maps(entries)
        self.lab = lab

    def classes(self) -> dict[int, set[str]]:
        """Networks by version."""
        found: dict[int, set[str]] = {}
        for raw in list(self.maps["seg_classes"].entry_keys()):
            key = abi.unpack("seg_class_key", raw)
            net = f"{address_text(key.family, key.addr)}/{key.prefix_len - 40}"
            found.setdefault(key.version, set()).add(net)
        return found

    def version(self) -> int:
        control = self.maps["seg_control"].lookup(bytes(4))
        return int(abi.unpack("seg_control", control or b"").class_version)

    def write(self, name: str, key: bytes, value: bytes) -> None:
        self.maps[name].update(key, value)


@pytest.fixture
def pins(engine_lab: EngineLab) -> Pins:
    """Name: pins. Scope: function. Depends: engine_lab."""
    return Pins(engine_lab)


def opened(pins: Pins) -> EngineClient:
    client = pins.lab.start()
    assert client.open_maps()
    return client


def test_each_policy_has_a_version_of_its_own_and_the_former_goes(pins):
    engine = opened(pins)
    assert pins.classes() == {}
    seen = set()
    for _ in range(3):
        engine.node_set(RULES, WEB, [])
        assert pins.classes() == {pins.version(): {*NETS, ALONE}}
        seen.add(pins.version())
    assert len(seen) == 3
    engine.members_set(RULES, Members({}, {ip_address(packets.pod_one_ip4): ()}), [])
    assert pins.classes() == {pins.version(): NETS}
    other = f"{packets.pod_two_ip6}/128"
    engine.members_set(RULES, Members({}, {ip_address(packets.pod_two_ip6): (0,)}), [])
    assert pins.classes() == {pins.version(): {*NETS, other}}


def test_maps_that_come_after_the_policy_get_its_classes(engine_lab):
    engine = engine_lab.start()
    engine.node_set(RULES, WEB, [])
    pins = Pins(engine_lab)
    assert engine.open_maps()
    assert pins.classes() == {pins.version(): {*NETS, ALONE}}


def test_a_new_engine_leaves_what_is_in_force_until_it_has_a_policy(pins):
    """And what a former one had begun is nobody's: its number is not used again."""
    first = opened(pins)
    first.node_set(RULES, WEB, [])
    before = pins.version()
    pins.lab.kill(first)
    begun = abi.pack(
        "seg_class_key", prefix_len=40, version=before + WORKERS, family=LEFT_BEHIND
    )
    pins.write("seg_classes", begun, bytes(4))
    control = bytearray(pins.maps["seg_control"].lookup(bytes(4)) or b"")
    at = abi.ffi.offsetof("struct seg_control", "class_last")
    control[at : at + 4] = struct.pack("=I", before // WORKERS + 1)
    pins.write("seg_control", bytes(4), bytes(control))
    second = opened(pins)
    assert pins.version() == before
    assert pins.classes()[before] == {*NETS, ALONE}
    second.node_set(RULES, WEB, [])
    assert pins.version() > before + WORKERS
    assert pins.classes() == {pins.version(): {*NETS, ALONE}}


def test_a_map_without_room_for_all_of_it_has_no_version_in_force(engine_lab):
    pins = Pins(engine_lab, entries=8)
    engine = opened(pins)
    engine.node_set(RULES, WEB, [])
    assert pins.version() > 0
    many = NodePolicy(
        ("any", "net"), {1: tuple(ip_network(packets.net_ip4).subnets(4))}, ()
    )
    engine.node_set(many, Members(), [])
    assert pins.version() == 0
    assert pins.classes() == {}
    engine.node_set(RULES, WEB, [])
    assert pins.classes() == {pins.version(): {*NETS, ALONE}}
