"""Whether u32 works is what a child process says, and the last line that it says is the reason."""

from __future__ import annotations

import contextlib
import subprocess
from types import SimpleNamespace

import pytest

from fallback_tc.netlink import RTM_NEWTFILTER
from fallback_tc.pair import Steering
from pyctl.datapath.u32 import probe
from pyctl.errors import NotCapableError
from pyctl.platform.netlink.raw import NetlinkError


@pytest.mark.parametrize(
    ("code", "out", "err", "why"),
    [
        (0, "", "a warning\n", None),
        (
            1,
            "installing the guard: no act_pedit\n",
            "",
            "installing the guard: no act_pedit",
        ),
        (1, "", "Traceback\nMemoryError\n", "MemoryError"),
        (-9, "", "", "the probe said nothing"),
    ],
)
def test_the_last_line_is_the_reason(monkeypatch, code, out, err, why):
    done = subprocess.CompletedProcess([], code, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert probe.missing() == why


def test_a_probe_that_hangs_is_a_reason(monkeypatch):
    def run(*_, timeout, **__):
        raise subprocess.TimeoutExpired("probe", timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert probe.missing() == f"the probe did not end within {probe.SECONDS} s"


def test_the_program_is_started_by_its_name(monkeypatch):
    started: list[list[str]] = []

    def run(argv, **_):
        started.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    probe.missing()
    assert started[0][1:] == ["-m", probe.__spec__.name]


class Kernel:
    """A scratch namespace; what is named in `refuses` is refused."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.added: list[int] = []
        self.removed: list[int] = []
        self.refuses: dict[str, Exception] = {}

    def step(self, name: str) -> None:
        self.told.append(name)
        if name in self.refuses:
            raise self.refuses[name]

    def add_veth(self, _nl, one, other) -> None:
        self.step(f"{one.name} and {other.name}")

    def dump(self, _nl):
        names = ("vex", "vin", "vbr", "vth")
        return [
            SimpleNamespace(name=name, index=at) for at, name in enumerate(names, 2)
        ]

    def add_clsact(self, ifindex: int) -> None:
        self.step(f"clsact on {ifindex}")

    def send(self, what, messages) -> None:
        self.step(what)
        assert {one.kind for one in messages} == {RTM_NEWTFILTER}
        self.added.append(len(messages))

    def try_each(self, what, messages) -> None:
        self.step(what)
        self.removed.append(len(messages))


@pytest.fixture
def kernel(monkeypatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(probe, "enter_scratch", lambda: made.step("unshare"))
    monkeypatch.setattr(probe, "RawNetlink", contextlib.nullcontext)
    monkeypatch.setattr(probe, "RuleSets", lambda: contextlib.nullcontext(made))
    monkeypatch.setattr(probe.links, "add_veth", made.add_veth)
    monkeypatch.setattr(probe.links, "dump", made.dump)
    return made


def test_each_kind_of_ruleset_is_tried_in_a_namespace_of_its_own(kernel, capsys):
    assert probe.main() == 0
    assert capsys.readouterr().out == ""
    assert kernel.told[:6] == [
        "unshare",
        "vex and vin",
        "vbr and vth",
        *(f"clsact on {ifindex}" for ifindex in (2, 3, 4)),
    ]
    assert [one for one in kernel.told[6:] if one != "removing them"] == [
        "installing the guard",
        *(f"installing rules to {steering}" for steering in Steering),
    ]
    assert kernel.removed == kernel.added[1:], "each makes room for the next"


@pytest.mark.parametrize(
    ("step", "error", "line"),
    [
        ("unshare", OSError(1, "Operation not permitted"), "Operation not permitted"),
        ("vex and vin", NetlinkError(95, "no veth"), "no veth"),
        (
            "clsact on 2",
            NotCapableError("no sch_ingress", advice="x"),
            "no sch_ingress",
        ),
        ("installing the guard", NotCapableError("no cls_u32"), "no cls_u32"),
        ("removing them", NotCapableError("no removal"), "no removal"),
    ],
)
def test_what_is_refused_is_the_last_line(kernel, capsys, step, error, line):
    kernel.refuses[step] = error
    assert probe.main() == 1
    (said,) = capsys.readouterr().out.splitlines()
    assert line in said
