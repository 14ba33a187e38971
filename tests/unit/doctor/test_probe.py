"""doctor: what follows from what was found, and that looking changes nothing."""

from __future__ import annotations

import json
import socket

import pytest

from pyctl.doctor import probe

ALL = probe.COMMON | probe.EBPF | probe.U32 | probe.OPTIONAL


def findings(**changes: str) -> dict[str, tuple[str, str]]:
    states = dict.fromkeys(ALL, "ok")
    states |= {name.replace("_", " "): state for name, state in changes.items()}
    return {name: (state, "seen") for name, state in states.items()}


def test_with_everything_it_is_ebpf():
    report = probe.judge(findings())
    assert (report.datapath, report.unknown, report.verdict) == ("ebpf", False, "ebpf")


@pytest.mark.parametrize("name", probe.OPTIONAL | probe.U32)
def test_what_ebpf_does_not_need_does_not_matter(name):
    found = findings() | {name: ("missing", "seen")}
    assert probe.judge(found).datapath == "ebpf"


@pytest.mark.parametrize("name", probe.COMMON)
def test_what_both_need_is_named_when_it_is_missing(name):
    report = probe.judge(findings() | {name: ("missing", "seen")})
    assert (report.datapath, report.unknown) == (None, False)
    assert report.verdict.startswith("none")
    assert name in report.verdict


@pytest.mark.parametrize("name", probe.EBPF)
def test_without_ebpf_it_is_u32(name):
    report = probe.judge(findings() | {name: ("missing", "seen")})
    assert (report.datapath, report.unknown) == ("u32", False)
    assert report.verdict.startswith(f"u32, as ebpf lacks: {name}; every packet")


@pytest.mark.parametrize("name", probe.U32)
def test_with_neither_what_each_lacks_is_named(name):
    report = probe.judge(findings(bcc="missing") | {name: ("missing", "seen")})
    assert report.verdict == f"none; ebpf lacks: bcc; u32 lacks: {name}"


def test_what_could_not_be_tried_is_unknown_not_missing():
    found = findings()
    del found["bpf programs"]
    report = probe.judge(found)
    assert (report.datapath, report.unknown) == (None, True)
    assert "bpf programs" in report.verdict


def test_missing_outweighs_unknown():
    report = probe.judge(findings(bcc="missing", veth="missing"))
    assert not report.unknown


def test_probing_finds_something_and_leaves_nothing():
    before = socket.if_nameindex()
    report = probe.probe()
    assert socket.if_nameindex() == before
    assert [each.name for each in report.capabilities] == list(ALL)
    json.dumps(report.as_dict())


def test_a_library_that_is_not_there_is_told_with_what_it_costs():
    state, told = probe._library("libnothing.so.9")
    assert state == "missing"
    assert "libnothing.so.9" in told
    found = findings() | {"brotli": (state, told)}
    (lacks,) = (one for one in probe.judge(found).capabilities if not one.ok)
    assert (lacks.name, lacks.detail) == ("brotli", told)
    assert "libbrotli1" in lacks.cost
