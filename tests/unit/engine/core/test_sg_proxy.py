"""While the initiator's bytes may be a part of a PROXY header, nobody sees them."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import Sample, assert_recognised

POST = b"POST / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "asks", [POST, POST.replace(b"POST", b"PROPFIND"), POST.replace(b"POST", b"PROXY")]
)
def test_a_method_that_begins_like_it_is_seen_then(core_module, asks):
    assert_recognised(core_module, "HTTP", Sample(asks))


def test_only_the_first_header_is_one(core_module):
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 4 8\r\n"
    assert_recognised(core_module, "HTTP", Sample(header + POST))
