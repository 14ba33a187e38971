"""The peer of a service is whoever is of its class: by the longest network, of the version that is in force."""

from __future__ import annotations

import ipaddress

import pytest

from pyctl.datapath.pins import open_map
from tests.kernel import frames as f
from tests.kernel.conftest import CLASS_VERSION, GENERATION, Lab
from tests.kernel.test_flows import WAY, steer
from tests.kernel.test_open import (
    BOTH_HOOKS,
    BOTH_VERSIONS,
    CLASS,
    OTHER_CLASS,
    allow,
    classify,
    peer_of,
    service,
    syn,
)

pytestmark = pytest.mark.usefixtures("opens")
LENGTHS = {4: (8, 24, 32), 6: (16, 64, 128)}


def around(ip: str, length: int) -> str:
    return str(ipaddress.ip_network(f"{ip}/{length}", strict=False))


def neighbour(ip: str) -> str:
    """Another address of its network."""
    raw = bytearray(ipaddress.ip_address(ip).packed)
    raw[-1] ^= 0x1
    return str(ipaddress.ip_address(bytes(raw)))


def syn_of(hook: str, version: int, peer: str) -> bytes:
    end = {"dst" if hook == "vin" else "src": peer}
    return bytes(f.link(WAY[hook]) / f.ip(WAY[hook], version, **end) / f.tcp("S"))


@BOTH_HOOKS
@BOTH_VERSIONS
def test_two_peers_of_one_network_have_one_entry(kernel: Lab, hook, version):
    steer(kernel, hook)
    allow(kernel, service(hook, version))
    peer = peer_of(hook, version)
    classify(kernel, around(peer, LENGTHS[version][1]))
    for one in (peer, neighbour(peer)):
        assert kernel.run(hook, syn_of(hook, version, one)).reason == "flow_allow"
    with open_map(kernel.instance, "seg_services") as services:
        assert len(list(services.entry_keys())) == 1


@BOTH_HOOKS
@BOTH_VERSIONS
@pytest.mark.parametrize("length", [0, 1, 2])
@pytest.mark.parametrize("number", [OTHER_CLASS, 0])
def test_a_narrower_network_of_another_class_is_the_engines(
    kernel: Lab, hook, version, length, number
):
    steer(kernel, hook)
    allow(kernel, service(hook, version))
    peer = peer_of(hook, version)
    classify(kernel, around(peer, LENGTHS[version][length]), number)
    assert kernel.run(hook, syn(hook, version)).reason == "to_engine"
    if length == 2:
        other = syn_of(hook, version, neighbour(peer))
        assert kernel.run(hook, other).reason == "flow_allow"


@BOTH_HOOKS
@BOTH_VERSIONS
def test_an_address_that_moves_is_judged_by_its_new_class_at_once(
    kernel: Lab, hook, version
):
    steer(kernel, hook)
    allow(kernel, service(hook, version))
    alone = around(peer_of(hook, version), LENGTHS[version][2])
    for number, reason in (
        (CLASS, "flow_allow"),
        (OTHER_CLASS, "to_engine"),
        (0, "to_engine"),
    ):
        classify(kernel, alone, number)
        kernel_flows_gone(kernel)
        assert kernel.run(hook, syn(hook, version)).reason == reason


def kernel_flows_gone(kernel: Lab) -> None:
    for name in ("seg_flows4", "seg_flows6"):
        with open_map(kernel.instance, name) as flows:
            for key in list(flows.entry_keys()):
                flows.delete(key)


def test_a_version_that_is_half_there_is_read_by_nobody(kernel: Lab):
    """The next policy's narrower network is there already, or its wide one alone: neither is in force."""
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    peer = peer_of("vex", 4)
    classify(kernel, around(peer, 24), OTHER_CLASS, CLASS_VERSION + 1)
    assert kernel.run("vex", syn("vex")).reason == "flow_allow"
    kernel_flows_gone(kernel)
    kernel.control(class_version=CLASS_VERSION + 1)
    assert kernel.run("vex", syn("vex")).reason == "to_engine"


def test_a_service_of_a_former_version_is_found_for_no_class_of_a_later_one(
    kernel: Lab,
):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    classify(kernel, "0.0.0.0/0", CLASS, CLASS_VERSION + 1)
    kernel.control(class_version=CLASS_VERSION + 1)
    assert kernel.run("vex", syn("vex")).reason == "to_engine"


@BOTH_HOOKS
@BOTH_VERSIONS
def test_without_a_version_in_force_every_peer_is_the_engines(
    kernel: Lab, hook, version
):
    steer(kernel, hook)
    allow(kernel, service(hook, version, peer_class=CLASS))
    for net in ("0.0.0.0/0", "::/0"):
        classify(kernel, net, CLASS, 1)
    kernel.control(class_version=0)
    assert kernel.run(hook, syn(hook, version)).reason == "to_engine"


def test_a_known_class_is_of_no_use_under_another_generation(kernel: Lab):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    kernel.generation(GENERATION + 1)
    assert kernel.run("vex", syn("vex")).reason == "to_engine"
