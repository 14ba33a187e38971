"""Who sent a request is what the kernel says."""

from __future__ import annotations

import os
import socket

import pytest
from fastapi import Request

from pyctl.api.peer import uid_behind, uid_of


def test_of_a_unix_socket_the_kernel_knows_the_peer():
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert uid_behind(here) == os.geteuid()


def test_of_others_it_does_not():
    with socket.socket(socket.AF_INET) as other:
        assert uid_behind(other) is None
    assert uid_behind(None) is None


@pytest.mark.parametrize(
    ("client", "uid"),
    [(("uid", 1000), 1000), (("localhost", 1000), None), (None, None)],
)
def test_an_address_is_nobody(client, uid):
    assert uid_of(Request({"type": "http", "client": client})) == uid
