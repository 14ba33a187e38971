"""One table of protocol names: no other module spells one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pyctl.model.protocols import IN_RULES, NUMBERS, protocol_name, protocol_number

ROOT = Path(__file__).parents[3]
WORDS = ({*NUMBERS, *IN_RULES} | {name.upper() for name in NUMBERS}) - {"any"}
HOMES = {
    "pyctl/model/protocols.py",
    "pyctl/policy/document/field_checks.py",  # the grammar of a rule's ports: icmp|icmpv6
    "pyctl/platform/sockets/tcp.py",  # names of files in /proc/net
    "pyctl/platform/memberships.py",  # likewise
}


@pytest.mark.parametrize("number", [*NUMBERS.values(), 0, 47, 255])
def test_a_number_is_told_by_a_name_that_leads_back_to_it(number):
    assert protocol_number(protocol_name(number)) == number


def tables(tree: ast.AST) -> list[int]:
    """Lines of displays and patterns that name two protocols or more."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            inside = [*node.keys, *node.values]
        elif isinstance(node, ast.Set | ast.List | ast.Tuple):
            inside = list(node.elts)
        else:
            inside = [node]
        said = set()
        for one in inside:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                pattern = re.findall(r"[\w]+(?=\|)|(?<=\|)[\w]+", one.value)
                said |= {one.value, *pattern} & WORDS
        if len(said) > 1:
            found.append(node.lineno)
    return found


def test_no_other_module_has_a_table_of_protocols():
    found = {}
    for file in sorted((ROOT / "pyctl").rglob("*.py")):
        where = str(file.relative_to(ROOT))
        lines = tables(ast.parse(file.read_text(encoding="utf-8")))
        if lines and where not in HOMES:
            found[where] = lines
    assert found == {}
