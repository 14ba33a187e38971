"""Two parsers, one reading: the kernel decides by itself only on what the engine takes for the same flow.

In: frames that differ from a flow's own by a byte or a header. The engine's core runs beside the programs, with
the entries that it wrote itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyctl import abi
from tests.kernel import frames as f
from tests.kernel.conftest import PORT, Lab
from tests.kernel.entries import WAY, put
from tests.kernel.test_flows import steer
from tests.unit.engine.core import extension, harness

BASES = {
    "tcp4": lambda w: f.ip(w) / f.tcp("PA") / f.Raw(b"x" * 20),
    "tcp6": lambda w: f.ip(w, 6) / f.tcp("PA") / f.Raw(b"x" * 20),
    "udp4": lambda w: f.ip(w) / f.udp() / f.Raw(b"x" * 20),
    "udp6": lambda w: f.ip(w, 6) / f.IPv6ExtHdrHopByHop() / f.IPv6ExtHdrDestOpt() / f.udp() / f.Raw(b"x" * 20),
    "echo4": lambda w: f.ip(w) / f.echo(),
    "sctp4": lambda w: f.ip(w, proto=132) / f.sctp(),
    "gre4": lambda w: f.ip(w, proto=47) / f.Raw(bytes(20)),
    "esp6": lambda w: f.ip(w, 6, nh=50) / f.Raw(bytes(40)),
}  # fmt: skip
ETHERNET, HEADERS = 14, 70
SHORTEST = ETHERNET + 40
"""That every kernel lets a test run have."""


@pytest.fixture
def core(request: pytest.FixtureRequest) -> Iterator[harness.Core]:
    """Name: core. Scope: function. Depends: gcc. Protects the lab's port, and allows everything."""
    made = harness.Core(extension.build(request.config.cache.mkdir("segctl-core")))
    made.set_policy(harness.Rule(), port=PORT)
    yield made
    made.close()


def on_detour(hook: str, frame: bytes) -> bytes:
    """As the engine is shown it."""
    ucmac = abi.ucmac(PORT)
    return ucmac + frame[6:] if hook == "vex" else frame[:6] + ucmac + frame[12:]


def mutants(frame: bytes) -> Iterator[bytes]:
    """The frame with another byte in its headers, each in turn, or cut short."""
    for at in range(ETHERNET, min(len(frame), HEADERS)):
        for value in {0, 255, frame[at] ^ 1, frame[at] ^ 16} - {frame[at]}:
            yield frame[:at] + bytes([value]) + frame[at + 1 :]
    for length in range(SHORTEST, len(frame), 5):
        yield frame[:length]


def decided(core: harness.Core) -> set[Any]:
    return {(s.proto, s.sport, s.dport, bytes(s.saddr)) for s in core.sessions()}


@pytest.mark.parametrize("name", BASES)
def test_what_an_entry_decides_the_engine_takes_for_its_flow(
    kernel: Lab, core: harness.Core, name: str
):
    hook = "vex" if name.endswith("6") else "vin"
    steer(kernel, hook)
    frame = bytes(f.link(WAY[hook]) / BASES[name](WAY[hook]))
    core.feed(on_detour(hook, frame))
    for key in core.flows:
        put(kernel, 6 if len(key) > abi.sizeof("seg_flow_key4") else 4, key)
    assert kernel.run(hook, frame).reason == "flow_allow"
    flows, same = decided(core), 0
    for mutant in mutants(frame):
        if kernel.run(hook, mutant).reason != "flow_allow":
            continue
        same += 1
        assert core.feed(on_detour(hook, mutant)), mutant.hex()
        assert decided(core) == flows, mutant.hex()
    assert same
