"""What leaves by vex or vin: only what our programs sent on, told by its mark."""

from __future__ import annotations

import pytest

from pyctl.datapath.events import EventReader
from pyctl.datapath.pins import pin_dir
from tests.kernel import frames as f
from tests.kernel.conftest import Lab

UNSPEC, SHOT = -1, 2
FRAME = bytes(f.link("in") / f.ip("in") / f.udp())


def mark(kernel: Lab) -> int:
    (found,) = pin_dir(kernel.instance).glob("mark-*")
    return int(found.name.removeprefix("mark-"), 16)


@pytest.mark.parametrize("role", ["vex", "vin"])
def test_what_was_sent_on_leaves_as_it_is(kernel: Lab, role):
    kernel.port(role)
    got = kernel.run("to_port", FRAME, mark=mark(kernel))
    assert (got.verdict, got.reasons, got.frame) == (UNSPEC, {}, FRAME)


@pytest.mark.parametrize("mode", ["discover", "protect"])
@pytest.mark.parametrize(("role", "way"), [("vex", "egress"), ("vin", "ingress")])
def test_what_else_is_sent_through_ends_there(kernel: Lab, role, way, mode):
    kernel.port(role, mode)
    with EventReader(kernel.instance) as reader:
        reader.read()
        for guessed in (0, 1, mark(kernel) ^ 2):
            got = kernel.run("to_port", FRAME, mark=guessed)
            assert (got.verdict, got.reason) == (SHOT, "not_inspected")
        assert {one.direction for one in reader.read()} == {way}
