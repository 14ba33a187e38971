"""An element of the flow maps is another flow's as soon as the engine deletes it: no packet takes that one's verdict."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pyctl import abi
from pyctl.datapath.maps import sum_counter
from pyctl.datapath.pins import open_map
from tests.kernel import frames as f
from tests.kernel.conftest import GENERATION, OTHER_PORT, Lab
from tests.kernel.test_flows import TCP, entry_of, key, steer

RUNS, SECONDS = 200_000, 3.0
"""Of one flow's packets, while its element is given away and back. Without the seal a dozen of them get the other
flow's verdict: those that an interrupt keeps between finding the element and reading it.
"""
SEAL = abi.ffi.offsetof("struct seg_flow", "seal")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saddr", 1),
        ("sport", 1),
        ("dir", 2),
        ("port_id", OTHER_PORT),
        ("session", 8),
        ("verdict", 2),
        ("generation", GENERATION + 1),
    ],
)
@pytest.mark.parametrize("version", [4, 6])
def test_an_entry_holds_with_its_own_seal_alone(kernel: Lab, version, name, value):
    """While another flow takes the element, its fields are of either."""
    steer(kernel, "vin")
    flow, other, fields = key("vin", version, TCP), {}, {"session": 7}
    if name in ("session", "verdict", "generation"):
        fields[name] = value
    else:
        other[name] = [value] * 16 if (name, version) == ("saddr", 6) else value
    own = bytearray(entry_of(flow, session=7))
    another = entry_of(key("vin", version, TCP, **other), **fields)
    frame = bytes(f.link("out") / f.ip("out", version) / f.tcp())
    kernel.write(f"seg_flows{version}", flow, bytes(own))
    assert kernel.run("vin", frame).reason == "flow_allow"
    own[SEAL : SEAL + 8] = another[SEAL : SEAL + 8]
    kernel.write(f"seg_flows{version}", flow, bytes(own))
    assert kernel.run("vin", frame).reason == "to_engine"


def counts(kernel: Lab) -> dict[str, int]:
    """Packets by reason."""
    with open_map(kernel.instance, "seg_counters") as counters:
        return {
            abi.REASONS[abi.unpack("seg_counter_key", name).reason].name: sum_counter(
                counters.split(value)
            ).packets
            for name, value in counters.entries()
        }


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_a_denied_flow_takes_no_verdict_of_what_takes_its_element(kernel: Lab, one_cpu):
    steer(kernel, "vin")
    # What finds no entry is dropped as it came: the test run repeats on one and the same frame.
    kernel.heartbeat(stale=True)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    denied, allowed = key("vin", 4, TCP), key("vin", 4, TCP, dport=f.SERVER + 1)
    no, yes = entry_of(denied, "deny"), entry_of(allowed)
    over = threading.Event()

    def send() -> None:
        os.sched_setaffinity(0, {(one_cpu + 1) % os.cpu_count()})
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            kernel.programs["vin"].test_run(frame, repeat=RUNS)
        over.set()

    sender = threading.Thread(target=send)
    sender.start()
    with open_map(kernel.instance, "seg_flows4") as flows:
        while not over.is_set():
            flows.update(denied, no)
            flows.delete(denied)
            flows.update(allowed, yes)
            flows.delete(allowed)
    sender.join()
    met = counts(kernel)
    assert met["flow_deny"] > 0
    assert "flow_allow" not in met
