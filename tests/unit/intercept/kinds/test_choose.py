"""One place knows the kinds by name; what depends on one asks it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pyctl.intercept.kinds.base import Kind
from pyctl.intercept.kinds.choose import KINDS, kind_of
from pyctl.model.workload import PEER_KINDS
from tests.unit.intercept.conftest import ETH0

ROOT = Path(__file__).parents[4]
HOMES = {
    "pyctl/intercept/kinds/choose.py",
    "pyctl/intercept/kinds/macvlan.py",
}


def code(file: Path) -> str:
    """What of a module runs: neither comments nor docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list):
                kept = [one for one in value if not is_text(one)]
                value[:] = kept or [ast.Pass()]
    return ast.unparse(tree)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_no_other_module_asks_for_a_macvlan():
    """As code: in prose it may be told what one does."""
    files = [
        file
        for package in ("intercept", "datapath")
        for file in ROOT.glob(f"pyctl/{package}/**/*.py")
    ]
    found = {
        str(file.relative_to(ROOT)) for file in files if "macvlan" in code(file).lower()
    }
    assert found == HOMES


def test_no_module_of_the_splice_spells_the_name_of_a_kind_it_splices():
    """Nor a veth's: what is asked of a workload's interface is asked of its Kind."""
    spelled = {
        file.name
        for file in ROOT.glob("pyctl/intercept/**/*.py")
        if any(f"'{name}'" in code(file) for name in KINDS)
    }
    assert spelled == {"macvlan.py"}


@pytest.mark.parametrize("name", ["veth", "macvlan"])
def test_the_kernel_s_word_chooses(name: str):
    kind = kind_of(name)
    assert kind is KINDS[name]
    assert kind.name == name


@pytest.mark.parametrize("name", ["", "ipvlan", "vlan", "tun", "netkit"])
def test_what_is_not_spliced_has_no_peer_and_asks_for_nothing(name: str):
    kind = kind_of(name)
    assert name not in KINDS
    assert (kind.has_peer, kind.vex_flags) == (False, 0)


def test_whoever_has_a_peer_is_one_that_the_datapath_knows_to_have_one():
    assert {kind.name for kind in KINDS.values() if kind.has_peer} == PEER_KINDS


def test_another_kind_is_one_class(monkeypatch: pytest.MonkeyPatch):
    """One whose MAC is its parent's, as an ipvlan's: it comes home without being given one."""

    class Shared(Kind):
        name = "shared"

        def home_messages(self, index, link):
            must, may = super().home_messages(index, link)
            return must[:1] + must[2:], may

    monkeypatch.setitem(KINDS, Shared.name, Shared())
    must, may = kind_of("shared").home_messages(ETH0.index, ETH0)
    assert (len(must), len(may)) == (2, 1)
