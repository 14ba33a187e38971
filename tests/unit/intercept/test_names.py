"""Names fit the kernel, and marks come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyctl.intercept.names import ALIAS_MAX, Mark, port_names, read_mark
from tests import packets

INTERFACES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/:%"),
    min_size=1,
    max_size=15,
)
PIDS = st.integers(1, 4_194_304)


def test_short_names_are_readable() -> None:
    assert port_names(0x4D2, "eth0") == ("vex4d2-eth0", "vin4d2-eth0")


@given(PIDS, INTERFACES)
def test_names_fit_fifteen_bytes_and_pair_up(pid: int, interface: str) -> None:
    vex, vin = port_names(pid, interface)
    assert len(vex.encode()) <= 15
    assert vex[:3] == "vex"
    assert vin == "vin" + vex[3:]


@given(PIDS, INTERFACES, INTERFACES)
def test_long_names_that_start_alike_stay_apart(pid: int, one: str, two: str) -> None:
    start = "interface"
    if one[:6] != two[:6]:
        left, right = start + one[:6], start + two[:6]
        assert port_names(pid, left) != port_names(pid, right)


def test_a_name_in_other_letters_becomes_ascii() -> None:
    vex, _ = port_names(77, "önet")
    assert vex.isascii()


@given(
    st.integers(1, 65535), PIDS, INTERFACES, st.none() | st.just(packets.pod_one_mac)
)
def test_a_mark_comes_back_and_fits_an_alias(
    port: int, pid: int, interface: str, mac: str | None
) -> None:
    mark = Mark(
        port,
        pid,
        2**63,
        (2**32, 2**32),
        2**64 - 1,
        interface,
        2**31 - 1,
        "macvlan",
        mac,
    )
    assert read_mark(mark.text()) == mark
    assert len(mark.text().encode()) <= ALIAS_MAX


@given(st.text())
def test_a_foreign_alias_is_no_mark(alias: str) -> None:
    assert read_mark(alias) is None
    assert read_mark("segctl " + alias) is None
