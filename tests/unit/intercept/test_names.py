"""Names fit the kernel, and marks come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyctl.intercept.names import Mark, port_names, read_mark
from tests import packets

INTERFACES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/:%"),
    min_size=1,
    max_size=15,
)
ALIKE = ("interfaceeEq", "interface]E|k")
"""Their hashes are the same."""
IFALIASZ = 256
"""The kernel's room for an alias, with the zero at its end."""
PIDS = st.integers(1, 4_194_304)


def test_short_names_are_readable() -> None:
    assert port_names(0x4D2, "eth0") == ("vex4d2-eth0", "vin4d2-eth0")


@given(PIDS, INTERFACES)
def test_names_fit_fifteen_bytes_and_pair_up(pid: int, interface: str) -> None:
    vex, vin = port_names(pid, interface)
    assert len(vex.encode()) <= 15
    assert vex[:3] == "vex"
    assert vin == "vin" + vex[3:]


def test_long_names_that_start_alike_differ_and_where_they_do_not_others_can_be_had() -> (
    None
):
    names = {port_names(77, f"interface-{number}") for number in range(50)}
    assert len(names) == 50
    assert port_names(77, ALIKE[0]) == port_names(77, ALIKE[1])
    others = {port_names(77, ALIKE[1], str(number)) for number in range(8)}
    assert len({port_names(77, ALIKE[0]), *others}) == 9
    assert port_names(77, "eth0", "x") != port_names(77, "eth0")


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
    assert len(mark.text().encode()) < IFALIASZ


@given(st.text())
def test_a_foreign_alias_is_no_mark(alias: str) -> None:
    assert read_mark(alias) is None
    assert read_mark("segctl " + alias) is None


def test_a_mark_names_one_namespace() -> None:
    mark = Mark(1, 77, 5, (4, 99), 12, "eth0", 2, "veth", None)
    assert mark.is_of((4, 99), 12)
    assert not mark.is_of((4, 99), 13)  # The inode number, used again.
    assert not mark.is_of((4, 98), 12)
