"""A condition holds in the engine as policy says it does, and a name matches as its pattern does."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pyctl.model.policy import Action
from pyctl.policy.compile.conditions import condition_of
from pyctl.policy.document.conditions.names import name_of_host, takes
from pyctl.policy.document.conditions.tls import VERSIONS
from pyctl.policy.document.types import PortSpec, Rule, Tls
from pyctl.policy.evaluate.facts import Facts, why_not_by

RULE = Rule(1, "any", "any", (PortSpec("any", "any"),), Action.ALLOW, apps=("TLS",))
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.sampled_from(["a", "x.a", "b", "c.b", ""])
PATTERNS = st.lists(st.sampled_from(["a", "*.a", "b", "*.b"]), max_size=2).map(tuple)
PROTOCOLS = st.lists(st.sampled_from(["h2", "http/1.1", "x"]), max_size=2).map(tuple)
ASKED = st.builds(Tls, PATTERNS, PROTOCOLS, st.none() | st.sampled_from([*VERSIONS]))
SHOWN = st.builds(
    Facts,
    st.none() | NAMES,
    st.none() | PROTOCOLS,
    st.none() | st.sampled_from([*VERSIONS]),
)


@QUIET
@given(ASKED, SHOWN, st.booleans())
def test_the_engine_judges_the_same(core_module, asked, shown, denies):
    rule = replace(RULE, tls=asked, action=Action.DENY if denies else Action.ALLOW)
    condition = condition_of(rule, 7, ())
    if condition is None:
        assert asked == Tls()
        return
    ffi, lib = core_module.ffi, core_module.lib
    texts = b"".join(
        bytes((field,)) + len(text).to_bytes(2) + text
        for field, text in condition.items
    )
    facts = ffi.new("struct sg_facts *")
    for field, value in enumerate((shown.sni, shown.alpn, shown.version), 1):
        if value is None:
            facts.open |= 1 << field
        else:
            facts.known |= 1 << field
    name = (shown.sni or "").encode()
    facts.sni_len, facts.sni[0 : len(name)] = len(name), name
    offered = b"".join(bytes((len(one),)) + one.encode() for one in shown.alpn or ())
    facts.alpn_len, facts.alpn[0 : len(offered)] = len(offered), offered
    facts.version = VERSIONS.get(shown.version or "", 0)
    row = ffi.new("struct sg_node_condition *", (1, 0, len(texts), denies))
    kept = ffi.from_buffer(texts)
    assert lib.sg_condition_valid(row, kept, len(texts))
    said = {"": 2, None: 1}.get(why_not_by(rule, shown), 0)
    assert lib.sg_condition_judge(row, kept, facts) == said


@QUIET
@given(st.binary(max_size=80) | st.text("aB.-_*\0", max_size=12).map(str.encode))
@example(b"x" * 63 + b".a")
@example(b"x" * 64 + b".a")
@example(b"a." * 126 + b"a")
@example(b"a." * 126 + b"ab")
@example(b"a." * 127)
def test_a_name_is_read_as_policy_reads_it(core_module, text):
    ffi, lib = core_module.ffi, core_module.lib
    out = ffi.new("__u8[]", 253)
    length = lib.sg_name_read(text, len(text), out)
    try:
        expected = name_of_host(text.decode("ascii")) or ""
    except UnicodeDecodeError:
        expected = ""
    assert bytes(out)[:length].decode() == expected


DOTTED = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4)
PATTERN = st.tuples(st.sampled_from(["", "*."]), DOTTED.map(".".join)).map("".join)


@QUIET
@given(PATTERN, DOTTED.map(".".join))
def test_a_pattern_takes_what_it_takes_in_policy(core_module, pattern, name):
    texts = (pattern.encode(), len(pattern), name.encode(), len(name))
    assert bool(core_module.lib.sg_name_matches(*texts)) == takes(pattern, name)
