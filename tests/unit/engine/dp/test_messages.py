"""Every message of the protocol, and nothing else, becomes a request."""

from __future__ import annotations

import contextlib
import json
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.engine.dp import messages
from pyctl.engine.dp.messages import (
    _PARSERS,
    App,
    ApplyDir,
    AppRule,
    Command,
    Part,
    PolicyAction,
    Rule,
    parse,
)
from pyctl.errors import UsageError
from tests import packets
from tests.unit.engine.dp.makers import RIGHT, datagram, message, rule, subnet

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        [packets.seed_two_mac, packets.seed_two_ucmac, packets.pod_one_ip4, "vth"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ip", "mask", "port", "id"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def test_the_messages_are_these():
    assert set(_PARSERS) == set(RIGHT)


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_right_message_is_taken_with_fields_that_nobody_knows(name):
    assert isinstance(message(name, future=[{"x": 1}]), messages.Message)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name in sorted(RIGHT)
        for field in RIGHT[name]
        if field
        not in {"jumboframe", "bcmac", "ucmac", "oldmac", "pmac", "pips", "tap"}
    ],
)
def test_a_field_that_must_be_there_is_missed_by_name(name, field):
    body = {key: value for key, value in RIGHT[name].items() if key != field}
    with pytest.raises(UsageError, match=f"{name} lacks '{field}'"):
        parse(datagram(name, body))


@pytest.mark.parametrize("field", [key for key in rule() if key != "portr"])
def test_a_field_of_a_rule_that_is_missing_is_named_with_its_place(field):
    bad = {key: value for key, value in rule().items() if key != field}
    with pytest.raises(
        UsageError, match=rf"ctrl_cfg_policy\.rules\[1\] lacks '{field}'"
    ):
        message("ctrl_cfg_policy", rules=[rule(), bad])


def test_nesting_of_any_depth_is_a_usage_error():
    """Also where json just reads it, and the refusal can no longer show it."""
    for depth in (*range(800, 1001), 4000):
        nested = "[" * depth + "]" * depth
        with pytest.raises(UsageError):
            parse(f'{{"ctrl_cfg_mac": {{"macs": {nested}}}}}'.encode())


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_a_request_or_a_usage_error(data):
    with contextlib.suppress(UsageError):
        parse(data)


@given(st.sampled_from(sorted(RIGHT)), values)
@settings(deadline=None)
def test_any_body_is_a_request_or_a_usage_error(name, body):
    with contextlib.suppress(UsageError):
        parse(datagram(name, body))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_field_is_a_request_or_a_usage_error(data):
    name = data.draw(st.sampled_from([name for name in sorted(RIGHT) if RIGHT[name]]))
    field = data.draw(st.sampled_from(sorted(RIGHT[name])))
    with contextlib.suppress(UsageError):
        message(name, **{field: data.draw(values)})


@given(st.sampled_from(sorted([*rule(), "sipr", "dipr", "apps", "fqdn"])), values)
@settings(deadline=None)
def test_any_value_in_any_field_of_a_rule_is_a_request_or_a_usage_error(field, value):
    with contextlib.suppress(UsageError):
        message("ctrl_cfg_policy", rules=[rule(**{field: value})])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "without JSON"),
        (bytes(8192), "without JSON"),
        (b"[" * 8192, "without JSON"),
        (b"{" + b'"a":{' * 1000, "without JSON"),
        (b"\xff\xfe\x00", "without JSON"),
        (b'{"ctrl_keep_alive": {"seq_num": ' + b"9" * 5000 + b"}}", "without JSON"),
        (b" " * 8193, "more than 8192 bytes"),
        (b"3", "one key"),
        (b"{}", "one key"),
        (b'{"ctrl_get_debug": {}, "ctrl_list_session": {}}', "one key"),
        (b'{"ctrl_fly": {}}', "'ctrl_fly' is served"),
        (b'{"ctrl_get_debug": []}', "must be an object"),
        (b'{"ctrl_keep_alive": {"seq_num": NaN}}', "a number"),
    ],
)
def test_what_is_no_message_says_so(data, told):
    with pytest.raises(UsageError, match=told):
        parse(data)


def test_a_name_of_8_kib_is_not_repeated_in_the_log():
    with pytest.raises(UsageError) as told:
        parse(json.dumps({"x" * 8000: {}}).encode())
    assert len(str(told.value)) < 150


def test_the_documents_messages_are_what_they_mean():
    assert message("ctrl_keep_alive") == messages.KeepAlive(7)
    assert message("ctrl_add_srvc_port") == messages.AddServicePort("vth", False)
    assert message("ctrl_del_srvc_port") == messages.DeleteServicePort("vth")
    whole = Part.START | Part.END
    assert message("ctrl_cfg_internal_net") == messages.InternalNet(
        whole, (IPv4Network(packets.net_ip4),)
    )
    assert message("ctrl_add_mac") == messages.AddMac(
        "vth",
        packets.seed_two_mac,
        packets.seed_two_ucmac,
        packets.seed_bcmac,
        None,
        None,
        (),
    )
    assert message("ctrl_del_mac") == messages.DeleteMac("vth", packets.seed_two_mac)
    assert message("ctrl_cfg_mac") == messages.ConfigMac(
        (packets.seed_two_mac,), False, None
    )
    assert message("ctrl_set_debug") == messages.SetDebug(("ctrl",))


def test_a_device_address_is_its_subnet_whatever_its_type():
    devip = {**subnet(packets.seed_host_ip4), "iptype": "devip"}
    found = message("ctrl_cfg_internal_net", subnet_addr=[devip])
    assert found.subnets == (IPv4Network(f"{packets.seed_nets_ip4[1]}/24"),)


def test_an_endpoint_may_have_a_parent_addresses_and_no_detour():
    found = message(
        "ctrl_add_mac",
        ucmac="",
        bcmac="",
        pmac=packets.pod_one_mac,
        pips=[{"ip": packets.pod_one_ip4}],
    )
    assert found.ucmac is None
    assert found.pmac == packets.pod_one_mac
    assert found.pips == (IPv4Address(packets.pod_one_ip4),)


def test_a_ucmac_is_one():
    """Frames are told apart by its first four bytes; no other could ever arrive."""
    with pytest.raises(UsageError, match="must begin with"):
        message("ctrl_add_mac", ucmac=packets.pod_one_mac)


def test_listening_ports_are_optional():
    apps = [{"ip_proto": 6, "port": 80, "app": 1001, "server": 0}]
    found = message("ctrl_cfg_mac", apps=apps, tap=None)
    assert found == messages.ConfigMac(
        (packets.seed_two_mac,), None, (App(6, 80, 1001, 0),)
    )


def test_a_policy_is_read_whole():
    apps = [{"app": 1001, "action": 2, "rid": 9}]
    sent = rule(
        sipr=packets.subnet_broadcast_ip4,
        portr=90,
        action=5,
        fqdn="example.org",
        vhost=True,
        apps=apps,
    )
    found = message("ctrl_cfg_policy", cmd=2, flag=2, dir=1, rules=[sent])
    assert (found.cmd, found.part, found.dir) == (
        Command.MODIFY,
        Part.END,
        ApplyDir.EGRESS,
    )
    assert found.defact is PolicyAction.DENY
    assert found.macs == (packets.seed_two_mac,)
    assert found.rules == (
        Rule(
            5,
            IPv4Address(packets.pod_two_ip4),
            IPv4Address(packets.subnet_broadcast_ip4),
            IPv4Address(packets.pod_one_ip4),
            IPv4Address(packets.pod_one_ip4),
            80,
            90,
            6,
            PolicyAction.CHECK_APP,
            True,
            "example.org",
            True,
            (AppRule(1001, PolicyAction.ALLOW, 9),),
        ),
    )


def test_an_end_below_its_start_means_the_start_alone():
    """The agent leaves the end of what is no range at 0."""
    found = message(
        "ctrl_cfg_policy", rules=[rule(portr=0, sipr=packets.unspecified_ip4)]
    )
    assert found.rules[0].portr == 80
    assert found.rules[0].sipr == found.rules[0].sip


@pytest.mark.parametrize(
    "bad",
    [{"cmd": 0}, {"cmd": 4}, {"flag": 4}, {"defact": 8}, {"dir": 4}, {"mac": [1]}],
)
def test_codes_out_of_their_range_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        message("ctrl_cfg_policy", **bad)
