"""The C engine without rings: its thread answers, and refuses what is impossible."""

from __future__ import annotations

import os
import socket

import pytest

from pyctl.engine import records
from pyctl.engine._binding import constant, pack_array
from pyctl.engine.node_records import pack_members, pack_node
from pyctl.engine.process.engine import Engine
from pyctl.engine.records import pack_peers
from pyctl.errors import SegctlError
from pyctl.model.policy import Action, Members, NodePolicy, PortPolicy
from pyctl.model.workload import Mode
from tests import packets


@pytest.fixture
def engine():
    with Engine() as made:
        yield made


def blob(**changes):
    policy = PortPolicy(300, Mode.DISCOVER, packets.pod_one_mac, (), Action.ALLOW)
    head, _ = records.view_policy(records.pack_policy(policy, 1))
    fields = {name: getattr(head, name) for name in ("generation", "port_id", "mode")}
    fields |= {"default_verdict": head.default_verdict, "flags": 0, **changes}
    return pack_array("sg_policy", [fields])


def rule(**changes):
    fields = {"id": 1, "action": 1, "port_hi": 65535, **changes}
    return blob(rule_count=1) + pack_array("sg_rule", [fields])


def test_a_policy_is_taken(engine):
    assert engine.set_policy(blob()) == 300
    assert engine.set_policy(rule()) == 300
    for flag in ("SG_POLICY_DENY_RST", "SG_POLICY_NO_CACHE"):
        assert engine.set_policy(blob(flags=constant(flag))) == 300


@pytest.mark.parametrize(
    "wrong",
    [
        blob(port_id=0),
        blob(generation=0),
        blob(mode=0),
        blob(mode=9),
        blob(default_verdict=0),
        blob(default_verdict=3),
        blob(flags=1 << 31),
        rule(dir=3),
        rule(family=5),
        rule(family=4, prefix_len=33),
        rule(family=6, prefix_len=129),
        rule(family=0, prefix_len=1),
        rule(action=0),
        rule(port_lo=2, port_hi=1),
    ],
)
def test_a_policy_with_a_field_out_of_range_is_refused(engine, wrong):
    with pytest.raises(SegctlError, match="Invalid argument"):
        engine.set_policy(wrong)


def test_a_node_policy_is_taken_whole_and_then_by_what_changes(engine):
    port = PortPolicy(300, Mode.PROTECT, packets.pod_one_mac, None, Action.DENY)
    node, members = NodePolicy(("any", "web")), Members({300: (0, 1)}, {})
    with pytest.raises(SegctlError, match="which group"):
        engine.set_members(pack_members(node, members, [(port, 1)]))
    engine.set_node(pack_node(node, members, [(port, 1)]))
    engine.set_members(pack_members(node, members, [(port, 2)]))
    with pytest.raises(SegctlError, match="Invalid argument"):
        engine.set_node(b"")


def test_descriptors_that_are_no_rings_are_refused_and_closed(engine):
    pairs = [os.pipe() for _ in range(constant("SG_FDS"))]
    fds = [read for read, _ in pairs]
    with pytest.raises(SegctlError, match="packet rings"):
        engine.set_rings(fds)
    for _, write in pairs:
        # Its number may be another's by now: the engine has threads.
        with pytest.raises(BrokenPipeError):
            os.write(write, b"x")
        os.close(write)
    assert engine.rings == ()


def test_sockets_of_another_family_are_refused(engine):
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(constant("SG_FDS") - 1)]
    fds = [one.detach() for one in sockets] + [os.memfd_create("state")]
    with pytest.raises(SegctlError, match="Invalid argument"):
        engine.set_rings(fds)


def test_a_wrong_number_of_descriptors_is_refused_and_closed(engine):
    read, write = os.pipe()
    other = os.dup(write)
    with pytest.raises(SegctlError, match="descriptors, not 2"):
        engine.set_rings([read, write])
    with pytest.raises(BrokenPipeError):
        os.write(other, b"x")
    os.close(other)


def test_without_pins_it_works_without_a_cache(engine, tmp_path):
    assert engine.open_maps(tmp_path / "nowhere") is False
    assert engine.open_maps(tmp_path) is False
    assert engine.stats()["has_maps"] == 0


def test_sync_returns_where_there_is_nothing_to_wait_for(engine):
    engine.sync()


def test_a_fresh_engine_has_counted_nothing(engine):
    assert engine.counters(0) == {}
    assert engine.sessions(0, 10) == (b"", 0)
    assert engine.names(0, 10) == (b"", 0)
    assert engine.names_of(pack_peers([(7, packets.world_ip4)] * 200), 10) == b""
    assert set(engine.name_counts(0).values()) == {0}
    blob, page = engine.events(10)
    assert (blob, page["lost"], page["first"]) == (b"", 0, 1)
    assert page["epoch"] > 0


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_an_impossible_port_is_refused(engine, port):
    with pytest.raises(SegctlError, match="no port id"):
        engine.delete_port(port)
    engine.delete_port(1)


def test_listeners_are_ports(engine):
    engine.set_policy(blob())
    engine.set_listeners(300, [80, 443])
    engine.set_listeners(300, [])
    with pytest.raises(SegctlError, match="1 to 65535"):
        engine.set_listeners(300, [0])


def test_close_is_idempotent():
    engine = Engine()
    engine.close()
    engine.close()


def test_the_cache_can_be_switched(engine):
    engine.set_cache(False)
    assert engine.stats()["cache"] == 0
    engine.set_cache(True)
    assert engine.stats()["cache"] == 1
