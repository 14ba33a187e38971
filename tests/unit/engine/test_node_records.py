"""The node's policy arrives in C as it was said, and a chain of deltas leads to the same as the whole."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.engine._binding import constant, ffi, sizeof
from pyctl.engine.node_records import changed_members, pack_members, pack_node
from pyctl.errors import SegctlError
from pyctl.model.policy import (
    Action,
    Direction,
    Fqdn,
    Holder,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.workload import Mode
from tests import packets

WEB, DNS = (PortMatch(6, 80, 80), PortMatch(6, 443, 443)), (PortMatch(17, 53, 53),)
NODE = NodePolicy(
    groups=("any", "web", "db", "net", "far"),
    cidrs={3: (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))},
    fqdns={4: (Fqdn("example.org", subdomains=True), Fqdn("db"))},
    rules=(
        NodeRule(1, 0, 1, WEB, Action.ALLOW, key=77),
        NodeRule(
            *(2, 1, 2, DNS, Action.REJECT, Direction.INGRESS),
            apps=1 << 8,
            app_unknown=Action.ALLOW,
        ),
        NodeRule(3, 1, 3, WEB, Action.DENY, Direction.EGRESS, staged=True),
    ),
)
POLICY = PortPolicy(7, Mode.PROTECT, packets.pod_one_mac, None, Action.DENY)


@dataclass
class Read:
    """A block of bytes as C reads it."""

    blob: bytes

    def __post_init__(self) -> None:
        self._data = ffi.from_buffer(self.blob)
        self.head = self._array("sg_node_head", 1)[0]
        self.policies = self._array("sg_policy", self.head.policies)
        self.rules = self._array("sg_node_rule", self.head.rules)
        self.specs = self._array("sg_node_spec", self.head.specs)
        self.cidrs = self._array("sg_node_cidr", self.head.cidrs)
        self.fqdns = self._array("sg_node_fqdn", self.head.fqdns)
        self.members = self._array("sg_member", self.head.members)
        self.groups = memoryview(self.blob)[self._at :].cast("I").tolist()

    _at = 0

    def _array(self, struct: str, count: int):
        found = ffi.cast(f"struct {struct} *", self._data + self._at)
        self._at += count * sizeof(struct)
        return [found[number] for number in range(count)]

    def apply_to(self, known: dict) -> dict:
        """What C has after this: by port or address, the groups of each holder, and its segment."""
        also = constant("SG_HOLDER_ALSO")
        for row in self.members:
            key = (row.family, row.port_id, bytes(row.address))
            of = tuple(self.groups[row.first_group : row.first_group + row.groups])
            holders = known.get(key, ()) if row.holder == also else ()
            known[key] = (*holders, (of, row.segment))
        gone = [key for key, holders in known.items() if holders == (((), 0),)]
        for key in gone:
            del known[key]
        return known


def test_rules_say_the_same_in_c_and_like_ports_are_there_once():
    read = Read(pack_node(NODE, Members(), [(POLICY, 5)]))
    assert read.head.groups == 5
    assert [(one.port_id, one.generation) for one in read.policies] == [(7, 5)]
    first, second, third = read.rules
    assert (first.id, first.key, first.dir, first.flags) == (1, 77, 0, 0)
    assert (first.apps, first.unknown) == (0, 0)
    assert (second.apps, second.unknown) == (1 << 8, constant("SEG_VERDICT_ALLOW"))
    assert second.dir == constant("SEG_DIR_INGRESS")
    assert second.action == constant("SEG_VERDICT_DENY")
    assert second.flags == constant("SG_RULE_REJECT")
    assert third.flags == constant("SG_RULE_STAGED")
    assert [(one.proto, one.port_lo, one.port_hi) for one in read.specs] == [
        (6, 80, 80),
        (6, 443, 443),
        (17, 53, 53),
    ]
    assert [(one.prefix_len, one.group) for one in read.cidrs] == [(24, 3), (32, 3)]


def test_names_are_written_as_the_engine_compares_them():
    said = [
        (one.group, one.subdomains, one.length, ffi.string(one.name))
        for one in Read(pack_node(NODE, Members(), [])).fqdns
    ]
    assert said == [(4, 1, 11, b"example.org"), (4, 0, 2, b"db")]


def test_a_delta_has_no_rules():
    read = Read(pack_members(NODE, Members({7: (0, 1)}), [(POLICY, 5)]))
    assert (read.rules, read.specs, read.cidrs) == ([], [], [])
    assert read.fqdns == []
    assert (read.head.groups, read.head.policies) == (5, 1)
    assert read.groups == [0, 1]


def test_members_of_the_same_groups_share_their_list():
    both = Members({7: (0, 1), 8: (0, 1)}, {ip_address("192.0.2.1"): (0, 1)})
    assert Read(pack_node(NODE, both, [])).groups == [0, 1]


def test_an_address_of_several_says_where_each_of_them_is():
    holders = (Holder((0, 1), (4, 5)), Holder((0, 2)))
    shared = Members(shared={ip_address("192.0.2.1"): holders})
    (found,) = Read(pack_node(NODE, shared, [])).apply_to({}).values()
    assert found == (((0, 1), 4), ((0, 1), 5), ((0, 2), 0))


@pytest.mark.parametrize(
    "wrong",
    [
        NodePolicy(rules=(NodeRule(1 << 40, 0, 0, WEB, Action.ALLOW),)),
        NodePolicy(rules=(NodeRule(1, 0, 0, (PortMatch(999),), Action.ALLOW),)),
        NodePolicy(fqdns={1: (Fqdn("x" * 300),)}),
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(SegctlError, match="packing the node"):
        pack_node(wrong, Members(), [])


PORTS = (7, 8, 9)
ADDRESSES = [ip_address(one) for one in ("192.0.2.1", "192.0.2.2", "2001:db8::1")]
GROUPS = st.sampled_from([(0,), (0, 1), (0, 2), (0, 1, 2)])
HOLDERS = st.lists(
    st.builds(Holder, GROUPS, st.sampled_from([(), (4,), (4, 5)])),
    min_size=2,
    max_size=3,
).map(tuple)


@st.composite
def members(draw) -> Members:
    ports = draw(st.dictionaries(st.sampled_from(PORTS), GROUPS))
    alone, shared = {}, {}
    for ip in ADDRESSES:
        of = draw(st.none() | GROUPS | HOLDERS)
        if of is not None:
            (shared if isinstance(of[0], Holder) else alone)[ip] = of
    return Members(ports, alone, shared)


@given(st.lists(members(), min_size=2, max_size=5))
def test_deltas_lead_to_the_same_as_the_whole(states):
    known = Read(pack_node(NODE, states[0], [])).apply_to({})
    for before, after in pairwise(states):
        for port_id in before.ports.keys() - after.ports.keys():
            del known[(0, port_id, bytes(16))]
        moved = changed_members(before, after, PORTS, ADDRESSES)
        Read(pack_members(NODE, moved, [])).apply_to(known)
        assert known == Read(pack_node(NODE, after, [])).apply_to({})


@given(members())
def test_what_did_not_change_is_in_no_delta(same):
    assert changed_members(same, same, PORTS, ADDRESSES) == Members()
