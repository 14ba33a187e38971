"""Offloads: only what differs and can be changed is asked for; features go by name."""

from __future__ import annotations

import array

import pytest

from pyctl.platform import offloads

AVAILABLE, ASKED = 0b1111, 0b0110


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Every request that would change something."""
    changes: list[list[int]] = []

    def ethtool(_name: str, request: array.array[int]) -> bool:
        if request[0] == offloads.ETHTOOL_GFEATURES:
            request[2], request[3] = AVAILABLE, ASKED | 0b110000
        else:
            changes.append(list(request))
        return True

    monkeypatch.setattr(offloads, "_ethtool", ethtool)
    return changes


def test_only_what_can_be_changed_is_read(device: list[list[int]]) -> None:
    assert offloads.requested("eth0") == (ASKED, 0)


def test_only_the_difference_is_asked_for(device: list[list[int]]) -> None:
    offloads.request("eth0", (0b0011, 0))
    assert device == [[offloads.ETHTOOL_SFEATURES, 2, 0b0101, 0b0011, 0, 0]]


def test_equal_offloads_are_left_alone(device: list[list[int]]) -> None:
    offloads.request("eth0", (ASKED, 0))
    assert device == []


def test_a_device_without_features_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offloads, "_ethtool", lambda _name, _request: False)
    assert offloads.requested("tun0") == ()
    offloads.request("tun0", (1, 0))


def test_a_mask_is_made_of_the_kernels_names(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["tx-a", "", *(f"rx-{n}" for n in range(31)), "tx-b"]

    def ethtool(_name: str, request: array.array[int]) -> bool:
        if request[0] == offloads.ETHTOOL_GSSET_INFO:
            request[4] = len(known)
        else:
            raw = b"".join(name.encode().ljust(32, b"\0") for name in known)
            request[3:] = array.array("I", raw)
        return True

    monkeypatch.setattr(offloads, "_ethtool", ethtool)
    assert offloads.names("eth0") == tuple(known)
    assert offloads.mask("eth0", lambda name: name.startswith("tx")) == (1, 2)
