"""SSH 1: a side that speaks nothing else."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.threats import payload

NEW, BOTH, OLD = b"SSH-2.0-x\r\n", b"SSH-1.99-x\r\n", b"SSH-1.5-x\r\n"


@pytest.mark.parametrize(
    ("client", "server", "threats"),
    [
        (NEW, OLD, ["ssh_v1"]),
        (OLD, NEW, ["ssh_v1"]),
        (NEW, BOTH, []),
        (BOTH, NEW, []),
        (NEW, NEW, []),
        (b"GET /", b"HTTP/1.1 200 OK\r\n", []),
        (b"xSSH", b"xSSH-1.5-x\r\n", []),
    ],
)
def test_versions(core_module, client, server, threats):
    assert payload(core_module, client, server) == (threats, False)


def test_more_may_come_until_the_version_is_there(core_module):
    assert payload(core_module, NEW, b"SSH-1.9") == ([], True)
    assert payload(core_module, b"", b"") == ([], True)
    assert payload(core_module, b"SSH-2.0-x", b"S") == ([], True)
