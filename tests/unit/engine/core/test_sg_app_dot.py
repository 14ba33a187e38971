"""DNS over TLS is known by its ALPN, whole and alone in its case."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.hello import BIG, alpn, hello, sni
from tests.unit.engine.core.recognise import Sample, assert_recognised


@pytest.mark.parametrize("offers", [(b"dot",), (b"h2", b"dot")])
@pytest.mark.parametrize("size", [3, 16384])
def test_the_alpn_is_proof_wherever_it_stands(core_module, offers, size):
    asks = hello(sni(b"a.example"), alpn(*offers), BIG, size=size)
    assert_recognised(core_module, "DoT", Sample(asks))


@pytest.mark.parametrize("offers", [b"DOT", b"do", b"doth", b"xdot", b"dot\0"])
def test_another_name_is_not_it(core_module, offers):
    asks = hello(sni(b"dot"), alpn(offers))
    assert_recognised(core_module, "TLS", Sample(asks))
