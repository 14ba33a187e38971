"""Heads that come in pieces: what begins like an allowed request passes, so that no sender waits for an ACK in vain.

A client sends 14 KB before it must be answered, and of two small writes the second only after the first is acknowledged.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.policy import Action
from tests.unit.engine.core.app_flow import Wire, always
from tests.unit.engine.core.http1 import read
from tests.unit.engine.core.test_sg_judge_http import (
    ADMIN,
    API,
    OK,
    get,
    judged_by,
    only,
    told,
)

LINE = API.index(b"\n") + 1


def test_a_head_of_forty_kilobytes_passes_though_nothing_is_acknowledged(node, net):
    wire = judged_by(node, net, only("/api/*"))
    cookies = [f"Cookie{at}: {'x' * 1000}" for at in range(40)]
    head = get("/api/one", *cookies)
    for at in range(0, len(head), 1400):
        wire.says(0, head[at : at + 1400])
        assert len(wire.across[0]) == min(at + 1400, len(head))
    assert wire.across[0] == head
    wire.says(0, ADMIN)
    assert wire.across[0] == head
    assert wire.resets == 2


@pytest.mark.parametrize("first", [API, ADMIN, get("/api/one", method="PUT")])
def test_nothing_passes_before_the_first_line_is_whole_and_allowed(node, net, first):
    wire = judged_by(node, net, only("/api/*", methods=["GET"]))
    for at in range(len(first)):
        wire.says(0, first[at : at + 1])
        begun = first == API and at + 1 >= LINE
        assert wire.across[0] == (first[: at + 1] if begun else b"")


def test_it_may_take_its_time_then(node, net):
    wire = judged_by(node, net, only("/api/*"))
    for at in range(LINE, len(API)):
        wire.says(0, API[:LINE] if at == LINE else b"")
        wire.says(0, API[at : at + 1])
        wire.waits(1)
    assert wire.across[0] == API
    assert wire.resets == 0


@pytest.mark.parametrize("asked", ["a.example", "b.example"])
def test_where_the_host_counts_it_is_waited_for(node, net, asked):
    wire = judged_by(node, net, only("/api/*", hosts=["a.example"]))
    head = get("/api/one", "X: y", host=asked)
    named = head.index(b"X")
    wire.says(0, head[: named - 2])
    assert wire.across[0] == b""
    wire.says(0, head[named - 2 : named])
    assert wire.across[0] == (head[:named] if asked == "a.example" else b"")
    wire.says(0, head[named:])
    assert wire.across[0] == (head if asked == "a.example" else b"")


def test_so_it_is_where_a_host_is_denied(node, net):
    deny = only(hosts=["b.example"], action=Action.DENY)
    wire = judged_by(node, net, deny, always())
    wire.says(0, API[:LINE])
    assert wire.across[0] == b""
    wire.says(0, API[LINE:])
    assert wire.across[0] == API


@pytest.mark.parametrize(
    "rest",
    [
        b"X: y\rGET /admin HTTP/1.1\r",
        b"X: y\n\nGET /admin HTTP/1.1\n\n",
        b" folded",
        b"X : y\r\n",
        b"X: \0",
        b"Host: b.example\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
def test_what_no_head_has_does_not_pass_with_its_beginning(node, net, rest):
    wire = judged_by(node, net, only("/api/*"))
    begun = API[:-2]
    wire.says(0, begun)
    assert wire.across[0] == begun
    node.core.events()
    wire.says(0, rest)
    assert wire.across[0] == begun
    assert wire.resets == 2
    assert told(node.core)[0][0] == "bad_request"


def test_a_cr_that_another_segment_goes_on_from_must_end_its_line(node, net):
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, API[:-2] + b"X: y\r")
    wire.says(0, b"Z")
    assert wire.across[0] == API[:-2] + b"X: y\r"
    assert wire.resets == 2


def test_a_part_is_sent_on_again_and_differs_no_more_than_a_whole(node, net):
    wire = judged_by(node, net, only("/api/*"))
    again = wire.connection.segment(0, "PA", API[:LINE])
    wire.feed(again)
    wire.feed(again)
    assert wire.across[0] == API[:LINE] * 2
    wire.connection.seq[0] -= 4
    wire.says(0, b"2\r\n" + API)
    assert wire.across[0] == API[:LINE] * 2
    assert wire.resets == 2


def test_frames_that_waited_come_before_the_part_that_lets_them(node, net):
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, API[:5])
    wire.says(0, API[5:12])
    assert wire.across[0] == b""
    wire.says(0, API[12 : LINE + 3])
    assert wire.across[0] == API[: LINE + 3]
    wire.says(0, API[LINE + 3 :] + API[:3])
    wire.says(1, OK)
    wire.says(0, API[3:])
    assert wire.across == [API * 2, OK]


def test_a_policy_that_changes_meanwhile_judges_the_whole(node, net):
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, API[:LINE])
    node.judge_by(only("/other"))
    wire.says(0, API[LINE:])
    assert wire.across[0] == API[:LINE]
    assert wire.resets == 2


PIECES = st.lists(
    st.sampled_from(
        ["Host: a", "X: y", "X:", "Content-Length: 0", "Host: b", "Y : z", " f"]
    ),
    max_size=4,
)


@given(lines=PIECES, path=st.sampled_from(["/", "/a b", "/%2", "http://a/x", "*"]))
def test_a_head_is_read_alike_in_pieces_and_as_a_whole(core_module, lines, path):
    head = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()
    assert read(core_module, head, range(1, len(head))) == read(core_module, head)


def test_a_connection_is_judged_alike(core_module, node, net):
    """Each byte alone."""
    wire = Wire(node.core, net)
    node.judge_by(only("/api/*"))
    wire.opens()
    for at in range(len(API + ADMIN)):
        wire.says(0, (API + ADMIN)[at : at + 1])
    assert wire.across[0] == API
