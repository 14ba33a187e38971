"""Rules as lines."""

from __future__ import annotations

from pyctl.datapath import render
from pyctl.model.instance import Instance
from pyctl.platform.bpf.tc import BpfFilter


def test_a_filter_reads_as_tc_would_say_it():
    found = BpfFilter(10001, 1, "seg_to_port", 42, "abcd", direct_action=True)
    assert render.filters("vex0", 7, "egress", [found]) == [
        (
            "filter dev vex0 (ifindex 7) egress pref 10001 handle 0x1 bpf seg_to_port "
            "direct-action id 42 tag abcd"
        )
    ]


def test_a_link_that_is_gone_is_told():
    told = render.filters(None, 7, "ingress", [])
    assert told == ["filter dev gone (ifindex 7) ingress: none"]


def test_only_the_ports_own_entries(monkeypatch):
    rows = [
        {"port_id": 1, "ifindex": 7, "flags": ["a", "b"]},
        {"port_id": 2, "ifindex": 8, "flags": []},
    ]
    monkeypatch.setattr(
        render, "dump_maps", lambda _, name: {name: rows if name == "seg_ports" else []}
    )
    assert render.entries(Instance("one"), 1) == ["seg_ports[1] ifindex=7 flags=a,b"]
    assert render.entries(Instance("one"), 2) == ["seg_ports[2] ifindex=8 flags=-"]
