"""Any datagram is done or refused, and the engine knows what was done."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.engine.dp.dispatch import DEBUG_CATEGORIES, GENERATION_BASE, Dispatcher
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.records import view_policy
from pyctl.errors import SegctlError, UsageError
from tests import packets
from tests.unit.engine.dp.makers import RIGHT, datagram

PORT = 0x00B4


class Recording(Engine):
    """The real engine, and what it was told."""

    def __init__(self) -> None:
        super().__init__(max_sessions=1024)
        self.policies: list[tuple[int, int, int]] = []
        self.listeners: dict[int, tuple[int, ...]] = {}
        self.deleted: list[int] = []

    def set_policy(self, blob: bytes) -> int:
        policy, _ = view_policy(blob)
        self.policies.append((policy.port_id, policy.mode, policy.generation))
        return super().set_policy(blob)

    def set_listeners(self, port_id, ports):
        self.listeners[port_id] = tuple(ports)
        super().set_listeners(port_id, ports)

    def delete_port(self, port_id: int) -> None:
        self.deleted.append(port_id)
        super().delete_port(port_id)


@pytest.fixture
def engine():
    log.configure("error")
    with Recording() as made:
        yield made


@pytest.fixture
def dispatcher(engine) -> Dispatcher:
    return Dispatcher(engine, log_level="error")


def tell(dispatcher: Dispatcher, name: str, **fields) -> list[bytes]:
    return list(dispatcher.handle(datagram(name, {**RIGHT[name], **fields})))


bodies = st.dictionaries(
    st.sampled_from(["mac", "macs", "flag", "rules", "ucmac", "tap", "iface", "apps"]),
    st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.text())),
)


@given(st.lists(st.tuples(st.sampled_from(sorted(RIGHT)), bodies), max_size=6))
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sequence_of_messages_is_done_or_refused(engine, steps):
    dispatcher = Dispatcher(engine, log_level="error")
    for name, body in steps:
        with contextlib.suppress(SegctlError):
            tell(dispatcher, name, **body)
    assert tell(dispatcher, "ctrl_keep_alive") == [bytes((10, 0, 0, 8, 0, 0, 0, 7))]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ctrl_keep_alive", 8),
        ("ctrl_count_session", 24),
        ("ctrl_list_session", 8),
        ("ctrl_counter_device", 572),
    ],
)
def test_a_question_is_answered_in_its_size(dispatcher, name, size):
    assert [len(reply) for reply in tell(dispatcher, name)] == [size]


@pytest.mark.parametrize(
    "name",
    ["ctrl_cfg_internal_net", "ctrl_add_mac", "ctrl_set_debug"],
)
def test_configuration_is_not_answered(dispatcher, name):
    assert tell(dispatcher, name) == []


def test_what_an_endpoint_is_reaches_the_engine_at_every_change(dispatcher, engine):
    tell(dispatcher, "ctrl_add_mac")
    tell(dispatcher, "ctrl_cfg_mac", apps=[{"ip_proto": 6, "port": 80}])
    tell(dispatcher, "ctrl_cfg_policy")
    tell(dispatcher, "ctrl_cfg_policy", flag=1)
    tell(dispatcher, "ctrl_cfg_internal_net")
    discover, protect = 1, 3
    assert [row[:2] for row in engine.policies] == [
        (PORT, mode) for mode in (discover, protect, protect, protect)
    ]
    generations = [row[2] for row in engine.policies]
    assert generations == sorted(set(generations))
    assert min(generations) > GENERATION_BASE, "no agent publishes such a one"
    assert engine.listeners == {PORT: (80,)}
    tell(dispatcher, "ctrl_del_mac")
    assert engine.deleted == [PORT]


def test_what_the_engine_refuses_of_one_keeps_no_other_from_its_policy(
    dispatcher, engine, monkeypatch
):
    tell(dispatcher, "ctrl_add_mac")
    tell(dispatcher, "ctrl_add_mac", mac=packets.pod_two_mac, ucmac=packets.seed_ucmac)
    macs = [RIGHT["ctrl_add_mac"]["mac"], packets.pod_two_mac]
    real = engine.set_policy

    def short_of_memory(blob: bytes) -> int:
        policy, _ = view_policy(blob)
        if policy.port_id == PORT:
            raise SegctlError("no memory")
        return real(blob)

    monkeypatch.setattr(engine, "set_policy", short_of_memory)
    with pytest.raises(SegctlError, match="no memory"):
        tell(dispatcher, "ctrl_cfg_mac", macs=macs, tap=False)
    protect = 3
    assert engine.policies[-1][:2] == (0x27, protect)
    monkeypatch.undo()
    tell(dispatcher, "ctrl_cfg_mac", macs=macs[:1])
    assert engine.policies[-1][:2] == (PORT, protect)


def test_a_port_that_an_endpoint_left_is_forgotten(dispatcher, engine):
    tell(dispatcher, "ctrl_add_mac")
    tell(dispatcher, "ctrl_add_mac", ucmac=packets.seed_ucmac)
    assert engine.deleted == [PORT]
    assert engine.policies[-1][0] == 0x27


def test_rules_are_counted_by_their_kind(dispatcher):
    rule = RIGHT["ctrl_cfg_policy"]["rules"][0]
    tell(dispatcher, "ctrl_add_mac")
    tell(dispatcher, "ctrl_cfg_policy", rules=[rule, {**rule, "portr": 90}, rule])
    (reply,) = tell(dispatcher, "ctrl_counter_device")
    assert struct.unpack_from("!2I", reply, 4 + 536) == (2, 1)


def test_the_device_counts_all_ports_those_that_went_and_what_was_of_none(
    dispatcher, engine, monkeypatch
):
    counted = {
        0: {"detour_unknown": 1, "to_engine": 2},
        PORT: {"no_policy": 10, "to_engine": 20, "malformed": 30},
    }
    stats = {"frames": 200, "sent": 7, "send_failed": 8, "ring_drops": [3, 4]}
    found = {
        port: {reason: (packets, 1, 1) for reason, packets in counts.items()}
        for port, counts in counted.items()
    }
    monkeypatch.setattr(engine, "counters", lambda port: found.get(port, {}))
    monkeypatch.setattr(engine, "stats", lambda: stats)

    def device() -> tuple[int, ...]:
        (reply,) = tell(dispatcher, "ctrl_counter_device")
        return struct.unpack_from("!6Q", reply, 4)

    tell(dispatcher, "ctrl_add_mac")
    whole = (200, 7, 7, 8, 30, (200 - 22) + 11)
    assert device() == whole, "RX, drops, TX, drops, errors, frames of no workload"
    tell(dispatcher, "ctrl_del_mac")
    assert device() == whole, "counters never decrease"
    stats["frames"] = 5
    assert device()[5] == 11, (
        "frames that were counted after the look are no fewer than none"
    )


def test_rules_for_names_are_told_of(dispatcher, capsys):
    rule = RIGHT["ctrl_cfg_policy"]["rules"][0]
    log.configure("warning")
    tell(dispatcher, "ctrl_add_mac")
    tell(dispatcher, "ctrl_cfg_policy", rules=[rule, {**rule, "fqdn": "example.org"}])
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["rules"]) == ("dp rules for names are left out", 1)


def test_an_interface_that_is_not_there_is_named(dispatcher):
    with pytest.raises(SegctlError, match="open rings on vth: no interface"):
        tell(dispatcher, "ctrl_add_srvc_port")
    with pytest.raises(UsageError, match="no rings were opened on vth"):
        tell(dispatcher, "ctrl_del_srvc_port")


def test_debug_categories_are_kept_and_switch_the_log(capsys, dispatcher):
    def told():
        (reply,) = tell(dispatcher, "ctrl_get_debug")
        return json.loads(reply)["dp_debug"]["categories"]

    tell(dispatcher, "ctrl_set_debug", categories=["policy", "ctrl"])
    assert told() == ["policy", "ctrl"]
    assert "GetDebug" in capsys.readouterr().err
    tell(dispatcher, "ctrl_set_debug", categories=["all"])
    assert told() == list(DEBUG_CATEGORIES)
    tell(dispatcher, "ctrl_set_debug", categories=["none"])
    capsys.readouterr()
    assert told() == []
    assert "GetDebug" not in capsys.readouterr().err
    with pytest.raises(UsageError, match="no debug category 'fish'"):
        tell(dispatcher, "ctrl_set_debug", categories=["fish"])
