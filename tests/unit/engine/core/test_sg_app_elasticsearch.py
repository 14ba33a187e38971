"""Elasticsearch is HTTP of which both sides say so; what only one of them says is HTTP."""

from __future__ import annotations

import pytest

from pyctl.model.apps import app_bits
from tests.unit.engine.core.recognise import (
    GUESS,
    Recogniser,
    Sample,
    assert_recognised,
    told,
)

LINE = b"GET /_cluster/health HTTP/1.1\r\nHost: es:9200\r\n"
META = b"x-elastic-client-meta: es=8.11.0,py=3.11.2,t=8.10.0,ur=1.26.12\r\n"
MEDIA = b"Accept: application/vnd.elasticsearch+json; compatible-with=8\r\n"
BODY = b"content-type: application/vnd.elasticsearch+x-ndjson;compatible-with=8\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
PRODUCT = b"X-elastic-product: Elasticsearch\r\n"
END = b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
ANSWER = OK + PRODUCT + END


@pytest.mark.parametrize("sign", [META, MEDIA, BODY, META.upper(), META + MEDIA])
@pytest.mark.parametrize("answer", [ANSWER, OK + b"A: b\r\n" + PRODUCT.lower() + END])
def test_both_sides_say_so(core_module, sign, answer):
    asked = LINE + sign + b"\r\n"
    assert_recognised(core_module, "Elasticsearch", Sample(asked, answer))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (LINE + b"\r\n", ANSWER),
        (LINE + b"Accept: application/json\r\n\r\n", ANSWER),
        (LINE + b"X-Accept: application/vnd.elasticsearch+json\r\n\r\n", ANSWER),
        (LINE + b"x-elastic-client-meta: ent=8.11.0\r\n\r\n", ANSWER),
        (LINE + b"\r\n" + META, ANSWER),
        (LINE + META + b"\r\n", OK + END),
        (LINE + META + b"\r\n", OK + b"X-elastic-product: Kibana\r\n" + END),
        (LINE + META + b"\r\n", OK + b"X-product: Elasticsearch\r\n" + END),
        (LINE + META + b"\r\n", OK + END + PRODUCT),
    ],
)
def test_of_one_side_it_is_http(core_module, asked, answer):
    assert_recognised(core_module, "HTTP", Sample(asked, answer))


def test_before_the_answer_it_is_a_guess(core_module):
    asked = LINE + META + b"\r\n"
    assert told(core_module, Sample(asked)) == ("Elasticsearch", GUESS)
    one = Recogniser(core_module)
    one.ask(asked, OK)
    assert one.known.family == app_bits(["HTTP"]) & ~app_bits(["WebSocket"])
