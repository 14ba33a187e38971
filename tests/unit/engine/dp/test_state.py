"""What messages build up, and that a refused one changes nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.engine.dp import state as module
from pyctl.engine.dp.messages import (
    AddMac,
    ConfigMac,
    ConfigPolicy,
    DeleteMac,
    InternalNet,
    PolicyAction,
)
from pyctl.engine.dp.state import State
from pyctl.errors import UsageError
from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.dp.makers import message, rule, subnet

MAC, OTHER = packets.seed_two_mac, packets.pod_one_mac
PORT, OTHER_PORT = 0x00B4, 0x0027
MAC_IN_FULL = {"mac": [MAC, OTHER]}


@pytest.fixture
def state() -> State:
    return State()


def added(state: State, **fields):
    return state.add(message("ctrl_add_mac", **fields))


def second(state: State):
    return added(state, mac=OTHER, ucmac=packets.seed_ucmac)


def give(state: State, **fields):
    return state.take_policy(message("ctrl_cfg_policy", **fields))


def test_the_port_is_in_the_ucmac_and_a_new_endpoint_is_tapped(state):
    endpoint, freed = added(state)
    assert (endpoint.port_id, endpoint.tap, freed) == (PORT, True, [])
    assert state.at_port(PORT) == endpoint
    assert state.compiled(endpoint).mode is Mode.DISCOVER


@pytest.mark.parametrize("ucmac", ["", packets.seed_two_ucmac[:-5] + "00:00"])
def test_an_endpoint_without_a_detour_has_no_port(state, ucmac):
    """A mesh's loopback, or a driver that gives all its endpoints the id 0."""
    endpoint, _ = added(state, ucmac=ucmac)
    assert endpoint.port_id is None
    assert state.compiled(endpoint) is None


def test_two_endpoints_never_share_a_port(state):
    added(state)
    with pytest.raises(UsageError, match=f"is the UCMAC of {MAC}"):
        added(state, mac=OTHER)
    assert [endpoint.mac for endpoint in state] == [MAC]


def test_what_an_endpoint_had_follows_it_to_a_new_mac_and_port(state):
    added(state)
    give(state)
    apps = [{"ip_proto": proto, "port": port} for proto, port in ((6, 80), (17, 53))]
    state.configure(message("ctrl_cfg_mac", apps=apps))
    endpoint, freed = added(state, mac=OTHER, oldmac=MAC, ucmac=packets.seed_ucmac)
    assert freed == [PORT]
    assert (endpoint.port_id, endpoint.tap, endpoint.listeners) == (
        OTHER_PORT,
        False,
        (80,),
    )
    assert endpoint.policy is not None
    assert state.at_port(PORT) is None
    assert [found.mac for found in state] == [OTHER]


def test_adding_again_keeps_a_protected_endpoint_protected(state):
    added(state)
    give(state)
    state.configure(message("ctrl_cfg_mac", tap=False))
    endpoint, freed = added(state)
    assert (endpoint.tap, freed) == (False, [])
    assert state.compiled(endpoint).default is Action.DENY


def test_deleting_takes_the_policy_along(state):
    added(state)
    give(state)
    assert state.delete(MAC).port_id == PORT
    assert list(state) == []
    endpoint, _ = added(state)
    assert endpoint.policy is None
    with pytest.raises(UsageError, match="no endpoint"):
        state.delete(OTHER)


def test_configuring_leaves_what_is_not_named(state):
    added(state)
    state.configure(message("ctrl_cfg_mac", tap=False))
    (endpoint,) = state.configure(message("ctrl_cfg_mac", tap=None))
    assert endpoint.tap is False
    with pytest.raises(UsageError, match=OTHER):
        state.configure(message("ctrl_cfg_mac", macs=[OTHER], tap=True))
    assert next(iter(state)).tap is False


def test_an_unknown_mac_does_not_leave_the_others_tapped(state):
    added(state)
    (endpoint,) = state.configure(message("ctrl_cfg_mac", macs=[OTHER, MAC], tap=False))
    assert (endpoint.mac, endpoint.tap) == (MAC, False)


def test_a_policy_holds_from_its_end_on(state):
    added(state)
    assert give(state, flag=1) == []
    assert give(state, flag=0, rules=[rule(id=2)] * 40) == []
    assert next(iter(state)).policy is None
    (endpoint,) = give(state, flag=2, rules=[rule(id=3)])
    assert [found.rule_id for found in endpoint.policy.rules] == [5, *[2] * 40, 3]


def test_a_start_forgets_what_was_begun(state):
    added(state)
    give(state, flag=1)
    give(state, flag=1, rules=[rule(id=2)])
    (endpoint,) = give(state, flag=2, rules=[])
    assert [found.rule_id for found in endpoint.policy.rules] == [2]


@pytest.mark.parametrize("flag", [0, 2])
def test_a_part_without_its_start_is_refused(state, flag):
    added(state)
    give(state)
    with pytest.raises(UsageError, match="START never came"):
        give(state, flag=flag)
    assert next(iter(state)).policy is not None


def test_the_default_is_the_starts(state):
    added(state)
    give(state, flag=1, defact=2)
    (endpoint,) = give(state, flag=2, defact=7)
    assert endpoint.policy.defact is PolicyAction.ALLOW


def test_policies_that_come_interleaved_do_not_mix(state):
    added(state)
    second(state)
    give(state, flag=1, rules=[rule(id=1)])
    give(state, flag=1, rules=[rule(id=2)], mac=[OTHER])
    give(state, flag=2, rules=[])
    give(state, flag=2, rules=[], mac=[OTHER])
    found = {each.mac: each.policy.rules[0].rule_id for each in state}
    assert found == {MAC: 1, OTHER: 2}


def test_a_policy_is_for_the_endpoints_that_are_there(state):
    added(state)
    assert [found.mac for found in give(state, **MAC_IN_FULL)] == [MAC]
    with pytest.raises(UsageError, match="no endpoint has"):
        give(state, mac=[OTHER])


def test_a_deleted_policy_leaves_the_endpoint_open(state):
    added(state)
    give(state)
    (endpoint,) = give(state, cmd=3)
    assert state.compiled(endpoint).default is Action.ALLOW


def test_policies_that_are_begun_and_never_ended_are_bounded(state):
    added(state)
    for number in range(module.MAX_PENDING + 5):
        give(state, flag=1, mac=[f"02:00:00:00:00:{number:02x}"])
    assert len(state._pending) == module.MAX_PENDING


def test_policies_that_never_end_have_no_more_rules_than_one_may(state, monkeypatch):
    """The datagrams that end them may be lost, and memory is not."""
    monkeypatch.setattr(module, "MAX_RULES", 50)
    for number in range(5):
        mac = [f"02:00:00:00:00:{number:02x}"]
        give(state, flag=1, mac=mac, rules=[rule()] * 20)
        give(state, flag=0, mac=mac, rules=[rule()] * 20)
        assert sum(len(one.rules) for one in state._pending.values()) <= 50
    assert list(state._pending) == [tuple(mac)]


def test_two_workloads_policies_may_come_interleaved_twice_and_out_of_order(state):
    added(state)
    second(state)
    give(state, flag=1, rules=[rule(id=1)])
    give(state, flag=1, mac=[OTHER], rules=[rule(id=2)])
    give(state, flag=1, rules=[rule(id=3)])
    with pytest.raises(UsageError, match="START never came"):
        give(state, flag=2, mac=[MAC, OTHER])
    give(state, flag=2, mac=[OTHER], rules=[rule(id=4)])
    with pytest.raises(UsageError, match="START never came"):
        give(state, flag=2, mac=[OTHER])
    give(state, flag=2, rules=[])
    found = {each.mac: [one.rule_id for one in each.policy.rules] for each in state}
    assert found == {MAC: [3], OTHER: [2, 4]}


def test_a_refusal_names_few_of_many_macs(state):
    many = [f"02:00:00:00:00:{number:02x}" for number in range(200)]
    with pytest.raises(UsageError, match="and 197 more") as told:
        give(state, flag=0, mac=many)
    assert len(str(told.value)) < 200


def test_a_policy_that_grows_without_end_is_dropped(state, monkeypatch):
    monkeypatch.setattr(module, "MAX_RULES", 50)
    added(state)
    give(state, flag=1, rules=[rule()] * 40)
    with pytest.raises(UsageError, match="more than 50 rules"):
        give(state, flag=0, rules=[rule()] * 40)
    with pytest.raises(UsageError, match="START never came"):
        give(state, flag=2)


def test_internal_subnets_come_in_parts_and_replace_the_former(state):
    def take(flag, *nets):
        return state.take_nets(
            message("ctrl_cfg_internal_net", flag=flag, subnet_addr=list(nets))
        )

    assert not take(1, subnet())
    assert state.nets.inside == ()
    assert take(2, subnet(packets.world_ip4))
    assert len(state.nets.inside) == 2
    assert take(3)
    assert state.nets.inside == ()
    with pytest.raises(UsageError, match="START never came"):
        take(2, subnet())


def test_internal_subnets_are_bounded(state, monkeypatch):
    monkeypatch.setattr(module, "MAX_SUBNETS", 1)
    nets = [subnet(), subnet(packets.world_ip4)]
    with pytest.raises(UsageError, match="more than 1 internal"):
        state.take_nets(message("ctrl_cfg_internal_net", subnet_addr=nets))


def test_subnets_that_make_a_policy_too_large_are_not_taken(state, monkeypatch):
    added(state)
    give(state, rules=[rule(sip=packets.unspecified_ip4)])
    monkeypatch.setattr("pyctl.engine.dp.translate.MAX_RULES", 4)
    with pytest.raises(UsageError, match="more than 4 rules"):
        state.take_nets(message("ctrl_cfg_internal_net"))
    assert state.nets.inside == ()


macs = st.sampled_from([MAC, OTHER, packets.pod_two_mac])
ucmacs = st.sampled_from(["", packets.seed_ucmac, packets.seed_two_ucmac])
steps = st.one_of(
    st.builds(
        lambda mac, old, ucmac: message(
            "ctrl_add_mac", mac=mac, oldmac=old, ucmac=ucmac
        ),
        macs,
        st.one_of(st.just(""), macs),
        ucmacs,
    ),
    st.builds(lambda mac: message("ctrl_del_mac", mac=mac), macs),
    st.builds(
        lambda mac, flag, cmd: message(
            "ctrl_cfg_policy", mac=[mac], flag=flag, cmd=cmd
        ),
        macs,
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    st.builds(
        lambda flag: message("ctrl_cfg_internal_net", flag=flag), st.integers(0, 3)
    ),
    st.builds(
        lambda mac, tap: message("ctrl_cfg_mac", macs=[mac], tap=tap),
        macs,
        st.booleans(),
    ),
)


@given(st.lists(steps, max_size=25))
@settings(max_examples=200, deadline=None)
def test_ports_and_endpoints_agree_after_any_messages(requests):
    state = State()
    for request in requests:
        with contextlib.suppress(UsageError):
            match request:
                case AddMac():
                    state.add(request)
                case DeleteMac():
                    state.delete(request.mac)
                case ConfigPolicy():
                    state.take_policy(request)
                case InternalNet():
                    state.take_nets(request)
                case ConfigMac():
                    state.configure(request)
    ports = {each.port_id: each.mac for each in state if each.port_id}
    assert ports == state._by_port
    assert len(ports) == sum(each.port_id is not None for each in state)
