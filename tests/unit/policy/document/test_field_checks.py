"""Single fields: strict where a slip would open something, and each error under its path."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.policy.document import field_checks
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.table import FLAG
from tests import packets


@pytest.mark.parametrize(
    ("text", "proto", "low", "high"),
    [
        ("any", "any", 0, 65535),
        ("icmp", "icmp", 0, 65535),
        ("tcp", "tcp", 0, 65535),
        ("udp/any", "udp", 0, 65535),
        ("tcp/1", "tcp", 1, 1),
        ("udp/1-65535", "udp", 1, 65535),
        ("tcp/7-7", "tcp", 7, 7),
        ("sctp", "sctp", 0, 65535),
        ("sctp/3868", "sctp", 3868, 3868),
        ("icmp/8", "icmpv4", 8, 8),
        ("icmp/0-255", "icmpv4", 0, 255),
        ("icmpv6", "icmpv6", 0, 65535),
        ("icmpv6/128", "icmpv6", 128, 128),
    ],
)
def test_ports_are_read_as_written(text, proto, low, high):
    notes = ErrorCollector()
    found = field_checks.port_spec(notes, "p", text)
    assert (found.text, found.proto, found.low, found.high) == (text, proto, low, high)
    assert notes.errors == []


@pytest.mark.parametrize(
    "value",
    ["", "tcp/", "tcp/0", "tcp/65536", "tcp/2-1", "tcp/-1", "tcp/1-", "TCP/80", "tcp/80 ",
     "tcp/80\n", "80/tcp", "icmp/256", "icmp/8-0", "icmp/any", "icmpv4", "any/80", "tcp/\u0661",
     "tcp/0080", "udp/53-0054", "icmp/08", "icmpv6/1-02", 80, None, True, ["tcp/80"]],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_port(value):
    notes = ErrorCollector()
    assert field_checks.port_spec(notes, "p", value) is None
    assert notes.errors[0].startswith("p: ")


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_flag_is_true_or_false_and_nothing_like_it(value):
    notes = ErrorCollector()
    FLAG.read(notes, "enabled", value)
    assert notes.errors


@pytest.mark.parametrize("value", [packets.pod_one_ip4, packets.pod_one_ip6])
def test_one_address_is_a_network_of_one(value):
    assert field_checks.cidr(ErrorCollector(), "c", value).num_addresses == 1


@pytest.mark.parametrize(
    "suffix", ["/024", "/255.255.255.0", "/0.0.0.255", "/0.0.0.0", "/00"]
)
def test_a_prefix_length_that_can_be_read_in_two_ways_is_none(suffix):
    notes = ErrorCollector()
    assert field_checks.cidr(notes, "c", f"0.0.0.0{suffix}") is None
    assert notes.errors[0].startswith(f"c: 0.0.0.0{suffix} has no plain prefix length")
    assert field_checks.cidr(notes, "c", "0.0.0.0/0").num_addresses == 2**32


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("db", "db"),
        ("*.Example.ORG.", "*.example.org"),
        ("_sip._tcp.x-y.example", "_sip._tcp.x-y.example"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("1.2.3.4a", "1.2.3.4a"),
        ("a" * 63 + ".b" * 94 + ".", "a" * 63 + ".b" * 94),
    ],
)
def test_a_dns_name_is_read_in_small_letters_without_its_last_dot(value, name):
    notes = ErrorCollector()
    assert field_checks.fqdn(notes, "f", value) == name
    assert not notes.errors


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("*", "a rule to all names is one to `any`"),
        ("*foo.com", "* stands for whole labels at the start, as in *.example.org"),
        ("a.*.com", "* stands for whole labels at the start, as in *.example.org"),
        ("*.*.com", "* stands for whole labels at the start, as in *.example.org"),
        (packets.world_ip4, "it is a name alone; addresses go in a group with cidrs"),
        (packets.world_ip6, "it is a name alone; addresses go in a group with cidrs"),
        (packets.net_ip4, "it is a name alone; addresses go in a group with cidrs"),
        ("https://db", "it is a name alone; addresses go in a group with cidrs"),
        ("db:5432", "it is a name alone; addresses go in a group with cidrs"),
        ("a.b" * 127, "it has more than 253 characters"),
        ("a." + "b" * 64, "its part 'bbbbbbbbbbbb...bbbbbbbbbbbbb' is not 1 to 63 "),
        ("a..b", "its part '' is not 1 to 63 letters, digits, underscores, with "),
        ("", "its part '' is not 1 to 63 "),
        ("a.b-", "its part 'b-' is not 1 to 63 "),
        ("a b", "its part 'a b' is not 1 to 63 "),
        ("db\n", "its part 'db\\n' is not 1 to 63 "),
        (
            "*.M\u00fcnchen.de",
            "write it as it is asked for, in ASCII: *.xn--mnchen-3ya.de",
        ),
        ("stra\u00dfe.de", "write it as it is asked for"),
        ("\u0661.de", "write it as it is asked for"),
        ("a..\u00fc", "write it as it is asked for"),
    ],
)
def test_what_is_no_dns_name_is_told_with_the_reason(value, why):
    notes = ErrorCollector()
    assert field_checks.fqdn(notes, "f", value) is None
    assert notes.errors[0].partition(" is no DNS name: ")[2].startswith(why)


def test_a_value_in_an_error_is_short_even_if_it_holds_itself():
    loop: list[object] = []
    loop.append(loop)
    assert len(field_checks.shown(loop)) < 100
    assert len(field_checks.shown("x" * 10000)) < 100


def test_a_number_that_python_does_not_write_out_can_be_told():
    assert field_checks.shown([1 << 100_000]) == "a list of too many digits"


def test_of_very_many_errors_the_first_are_told_and_how_many_there_are():
    notes = ErrorCollector()
    for number in range(field_checks.MAX_TOLD + 5):
        notes.error(f"rules[{number}]", "wrong")
    with pytest.raises(
        UsageError, match=f"has {field_checks.MAX_TOLD + 5} errors"
    ) as caught:
        notes.refuse("the policy has")
    assert caught.value.tried.endswith("wrong\n  and 5 more")
    assert "rules[199]: wrong" in caught.value.tried


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"{packets.link_local_ip6}%eth0", "names an interface"),
        (packets.mapped_ip6, "write it as IPv4"),
        (packets.mapped_net_ip6, "write it as IPv4"),
    ],
)
def test_what_no_packet_can_have_is_no_network(value, why):
    """A denial for it would deny nothing."""
    notes = ErrorCollector()
    assert field_checks.cidr(notes, "c", value) is None
    assert why in notes.errors[0]


def test_what_is_told_is_bounded_in_number_and_length():
    notes = ErrorCollector()
    for number in range(1000):
        notes.error("k" * 10_000, f"bad {number}")
        notes.warn("p", f"odd {number}")
    assert notes.failed == 1000
    for told in (notes.errors, notes.warnings):
        assert len(told) == 201
        assert told[-1] == "and 800 more"
        assert max(map(len, told)) < 1100
