"""Offloads off and on again: only those that hand over frames which no wire has, and never against the workload."""

from __future__ import annotations

import errno

import pytest

from pyctl.intercept.attach import handles
from pyctl.intercept.enforcer import VBR, VTH
from pyctl.intercept.offload_switch import switch, switch_bridge
from pyctl.model.workload import Offload
from pyctl.platform import netns, offloads
from pyctl.platform.netlink import links
from tests.unit.intercept.played import splice

NAMES = (
    *("tx-checksum-ipv4", "tx-scatter-gather", "tx-tcp-segmentation", "rx-checksum"),
    *("tx-gso-list", "rx-vlan-filter", "highdma"),
)
SENDS, RX, OTHERS = 0b0010111, 0b0001000, 0b1100000


@pytest.fixture
def spliced(kernel, monkeypatch):
    """Name: spliced. Scope: function. Depends: kernel. Its eth0 is, and all devices have NAMES, all on."""
    monkeypatch.setattr(offloads, "names", lambda _: NAMES)
    kernel.port, _ = splice(kernel)
    for device in (*kernel.pod.devices, *kernel.enforcer.devices):
        device.offloads = (0b1111111, 0)
    kernel.ours = kernel.pod.device("eth0")
    kernel.vex = kernel.enforcer.device(kernel.port.vex)
    kernel.vin = kernel.enforcer.device(kernel.port.vin)
    return kernel


def put(kernel, offload, port=None):
    """Switch ours as a controller does; return what it has then."""
    with netns.opened(kernel.pod.path) as fd, handles(kernel.instance, fd) as ends:
        link = links.by_name(ends.workload, "eth0")
        switch(ends, link, port or kernel.port, offload)
    return kernel.ours.offloads


def test_off_leaves_what_no_frame_is_sent_by(spliced):
    assert put(spliced, Offload.OFF) == (OTHERS, 0)


def test_on_again_it_has_what_the_original_has(spliced):
    put(spliced, Offload.OFF)
    spliced.vex.offloads = (0b0001101, 0)
    assert put(spliced, Offload.ON) == (0b0001101 | OTHERS, 0)


def test_of_a_macvlan_the_model_is_the_new_veth(spliced):
    """Its features mean something else."""
    put(spliced, Offload.OFF)
    spliced.vex.offloads, spliced.vin.offloads = (0, 0), (0b0000011, 0)
    port = type(spliced.port)(**{**vars(spliced.port), "kind": "macvlan"})
    assert put(spliced, Offload.ON, port) == (0b0000011 | OTHERS, 0)


@pytest.mark.parametrize("own", [0b1, RX, SENDS])
def test_what_the_workload_has_switched_since_is_its_choice(spliced, own):
    spliced.ours.offloads = (own, 0)
    assert put(spliced, Offload.ON) == (own, 0)


def test_the_bridge_sends_no_large_frames_while_it_is_off(spliced):
    vbr, vth = (spliced.enforcer.device(name) for name in (VBR, VTH))
    vbr.offloads = (0b1101111, 0)
    switch_bridge(spliced.instance, Offload.OFF)
    assert vbr.offloads == (OTHERS | RX, 0), "it may receive them"
    vth.offloads = (0b0010011, 0)
    switch_bridge(spliced.instance, Offload.ON)
    assert vbr.offloads == (0b0000011 | OTHERS | RX, 0), "but never tx-gso-list"
    assert vth.offloads == (0b0010011, 0)


def test_a_kernel_that_refuses_is_an_error(spliced):
    spliced.fault = lambda *_: OSError(errno.EPERM, "not here")
    with pytest.raises(OSError, match="not here"):
        put(spliced, Offload.OFF)
    with pytest.raises(OSError, match="not here"):
        switch_bridge(spliced.instance, Offload.OFF)
