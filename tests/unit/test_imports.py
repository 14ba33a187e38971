"""Who may import whom. The table is the architecture; a new arrow is a decision, made here.

An import inside a function counts like any other, but for cli: what only one command needs is
imported lazily, and LAZY names those.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = {"pyctl.errors", "pyctl.model"}

ALLOWED: dict[str, set[str]] = {
    "pyctl.errors": set(),
    "pyctl.model": {"pyctl.errors"},
    "pyctl.abi": {"pyctl._abi", "pyctl._reasons"} | BASE,
    "pyctl.abi_build": BASE,
    "pyctl.lean": set(),
    "pyctl.room": set(),
    "pyctl.unbroken": set(),
    "fallback_tc": set(),
    "pyctl.policy": BASE,
    "pyctl.platform": {"pyctl.unbroken"} | BASE,
    "pyctl.runtime": {"pyctl.platform"} | BASE,
    "pyctl.intercept": {"pyctl.platform"} | BASE,
    "pyctl.datapath": {"pyctl.platform", "pyctl.abi", "pyctl.unbroken", "fallback_tc"}
    | BASE,
    "pyctl.engine": {"pyctl.abi", "pyctl.abi_build", "pyctl.lean", "pyctl.unbroken"}
    | BASE,
    "pyctl.agent": {
        "pyctl.abi",
        "pyctl.datapath",
        "pyctl.engine",
        "pyctl.intercept",
        "pyctl.platform",
        "pyctl.policy",
        "pyctl.room",
        "pyctl.runtime",
    }
    | BASE,
    "pyctl.api": set(),
    "pyctl.api.schema_base": BASE,
    "pyctl.api.schema_impact": {"pyctl.api.schema_base"},
    "pyctl.api.peer": set(),
    "pyctl.api.wrong": {"pyctl.errors"},
    "pyctl.api.schema_identity": {"pyctl.api.schema_base", "pyctl.model"},
    "pyctl.api.schema": {
        "pyctl.api.schema_base",
        "pyctl.api.schema_identity",
        "pyctl.api.schema_impact",
    }
    | BASE,
    "pyctl.api.impact": {"pyctl.agent", "pyctl.api.schema", "pyctl.api.schema_impact"},
    "pyctl.api.schema_history": {"pyctl.api.schema", "pyctl.api.schema_base"} | BASE,
    "pyctl.api.client": BASE,
    "pyctl.api.views": {
        "pyctl.abi",
        "pyctl.agent",
        "pyctl.api.schema",
        "pyctl.api.schema_identity",
        "pyctl.platform",
        "pyctl.policy",
    }
    | BASE,
    "pyctl.api.history": {
        "pyctl.agent",
        "pyctl.api.schema",
        "pyctl.api.schema_history",
        "pyctl.api.views",
    }
    | BASE,
    "pyctl.api.schema_question": {
        "pyctl.api.schema_base",
        "pyctl.api.schema_identity",
        "pyctl.model",
    },
    "pyctl.api.question": {
        "pyctl.agent",
        "pyctl.api.schema_identity",
        "pyctl.api.schema_question",
        "pyctl.policy",
    },
    "pyctl.api.schema_revision": {"pyctl.api.schema_base"},
    "pyctl.api.revision": {"pyctl.agent", "pyctl.api.schema_revision"},
    "pyctl.api.schema_hits": {"pyctl.api.schema_base"},
    "pyctl.api.schema_containers": {"pyctl.api.schema_base"},
    "pyctl.api.containers": {"pyctl.agent", "pyctl.api.schema_containers"},
    "pyctl.api.hits": {"pyctl.agent", "pyctl.api.schema_hits", "pyctl.policy"},
    "pyctl.api.schema_learning": {"pyctl.api.schema_base"} | BASE,
    "pyctl.api.learning": {
        "pyctl.agent",
        "pyctl.api.schema_learning",
        "pyctl.policy",
    }
    | BASE,
    "pyctl.api.scrape": set(),
    "pyctl.api.metrics": {
        "pyctl.agent",
        "pyctl.api.schema",
        "pyctl.api.scrape",
        "pyctl.api.views",
        "pyctl.policy",
    }
    | BASE,
    "pyctl.api.server": {
        "pyctl.api.wrong",
        "pyctl.api.metrics",
        "pyctl.api.peer",
        "pyctl.abi",
        "pyctl.agent",
        "pyctl.api.history",
        "pyctl.api.impact",
        "pyctl.api.question",
        "pyctl.api.revision",
        "pyctl.api.containers",
        "pyctl.api.hits",
        "pyctl.api.learning",
        "pyctl.api.schema",
        "pyctl.api.views",
    }
    | BASE,
    "pyctl.daemon": {
        "pyctl.agent",
        "pyctl.api.metrics",
        "pyctl.api.peer",
        "pyctl.api.server",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.cli": {"pyctl.api.client", "pyctl.room", "pyctl.unbroken"} | BASE,
}
"""Unit → units it may import, besides itself."""

LAZY = {
    "pyctl.cli.agent": {"pyctl.daemon", "pyctl.lean"},
    "pyctl.cli.doctor": {"pyctl.platform"},
    "pyctl.cli.engine": {"pyctl.engine"},
    "pyctl.cli.maps": {"pyctl.datapath"},
    "pyctl.cli.policy_import": {"pyctl.platform", "pyctl.policy"},
    "pyctl.cli.policy_schema": {"pyctl.policy"},
}
"""What single commands may import besides, inside functions only."""

THIRD_PARTY: dict[str, set[str]] = {
    "pyctl.abi_build": {"cffi"},
    "pyctl.policy": {"yaml"},
    "pyctl.platform": {"pyroute2"},
    "pyctl.runtime": {"docker", "requests"},
    "pyctl.datapath": {"bcc"},
    "pyctl.engine": {"cffi", "structlog"},
    "pyctl.agent": {"structlog"},
    "pyctl.daemon": {"structlog", "uvicorn"},
    "pyctl.api.schema": {"pydantic"},
    "pyctl.api.schema_base": {"pydantic"},
    "pyctl.api.schema_identity": {"pydantic"},
    "pyctl.api.peer": {"fastapi", "h11", "uvicorn"},
    "pyctl.api.history": {"fastapi"},
    "pyctl.api.question": {"fastapi"},
    "pyctl.api.revision": {"fastapi"},
    "pyctl.api.hits": {"fastapi"},
    "pyctl.api.containers": {"fastapi"},
    "pyctl.api.learning": {"fastapi"},
    "pyctl.api.schema_learning": {"pydantic"},
    "pyctl.api.metrics": {"fastapi", "prometheus_client"},
    "pyctl.api.server": {"fastapi"},
    "pyctl.cli": {"click", "rich"},
}
"""Packages that are not Python's own. Units that are not here use none."""

ONLY_PLATFORM = {"ctypes", "pyroute2"}
"""System calls and netlink have one home."""


def modules() -> list[Path]:
    files = [*ROOT.glob("pyctl/**/*.py"), *ROOT.glob("fallback_tc/**/*.py")]
    generated = {"_abi.py", "_reasons.py"}
    return sorted(file for file in files if file.name not in generated)


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def unit_of(module: str) -> str:
    """The longest entry of ALLOWED that the module is in, or the module itself."""
    parts = module.split(".")
    heads = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((head for head in heads if head in ALLOWED), module)


def imports(
    tree: ast.AST, package: str, *, top: bool = True
) -> Iterator[tuple[str, bool]]:
    """(module, whether the import is at the module's top level)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package} has a relative import"
            module = node.module or ""
            for alias in node.names:
                deeper = f"{module}.{alias.name}"
                ours = module.split(".")[0] in {"pyctl", "fallback_tc"}
                yield (deeper if ours and exists(deeper) else module), top
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(node, package, top=top and not inside)


def is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in {"pyctl", "fallback_tc"}


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_imports_follow_the_table(file):
    module = name_of(file)
    unit = unit_of(module)
    wrong = []
    for target, top in imports(ast.parse(file.read_text(encoding="utf-8")), module):
        head = target.split(".")[0]
        if is_ours(target):
            towards = unit_of(target)
            good = towards == unit or towards in ALLOWED.get(unit, set())
            good = good or (not top and towards in LAZY.get(module, set()))
        elif head in sys.stdlib_module_names:
            good = head not in ONLY_PLATFORM or unit == "pyctl.platform"
        else:
            good = head in THIRD_PARTY.get(unit, set())
        if not good:
            wrong.append(target)
    assert not wrong, f"{unit} may not import {', '.join(wrong)}"


@pytest.mark.parametrize(
    "file", [f for f in modules() if name_of(f).startswith("pyctl.cli.")], ids=name_of
)
def test_commands_load_nothing_but_click_at_their_head(file):
    """`segctl --help` loads every command module to show its first line."""
    if file.name == "start.py":
        return  # itself imported lazily, by attach and detach
    allowed = {"click", "pyctl"} | sys.stdlib_module_names
    for target, top in imports(ast.parse(file.read_text(encoding="utf-8")), file.name):
        if top:
            assert target.split(".")[0] in allowed
            if is_ours(target):
                assert unit_of(target) in {"pyctl.cli"} | BASE, target


def test_the_table_has_no_circles():
    done: set[str] = set()

    def visit(unit: str, above: tuple[str, ...]) -> None:
        assert unit not in above, " → ".join([*above, unit])
        if unit not in done:
            for towards in ALLOWED.get(unit, ()):
                visit(towards, (*above, unit))
        done.add(unit)

    for unit in ALLOWED:
        visit(unit, ())
