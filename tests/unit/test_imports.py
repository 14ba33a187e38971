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
NETLINK = {"pyctl.platform.netlink", "pyctl.platform.netns"}

ALLOWED: dict[str, set[str]] = {
    "pyctl.errors": set(),
    "pyctl.model": {"pyctl.errors"},
    "pyctl.abi": {"pyctl._abi", "pyctl._reasons"} | BASE,
    "pyctl.abi_build": BASE,
    "pyctl.block_imports": set(),
    "pyctl.free_space": set(),
    "pyctl.signal_shield": set(),
    "fallback_tc": set(),
    "pyctl.policy.document": BASE,
    "pyctl.policy.compile": {"pyctl.policy.document"} | BASE,
    "pyctl.policy.evaluate": {"pyctl.policy.document", "pyctl.policy.compile"} | BASE,
    "pyctl.policy.learn": {"pyctl.policy.document", "pyctl.policy.evaluate"} | BASE,
    "pyctl.policy.kubernetes": {"pyctl.policy.document"} | BASE,
    "pyctl.platform.absence": BASE,
    "pyctl.platform.patterns": BASE,
    "pyctl.platform.ready": BASE,
    "pyctl.platform.cap_net_admin": BASE,
    "pyctl.platform.heap": BASE,
    "pyctl.platform.memberships": BASE,
    "pyctl.platform.offloads": BASE,
    "pyctl.platform.sysctl": {"pyctl.platform.absence"} | BASE,
    "pyctl.platform.netlink": {"pyctl.platform.absence", "pyctl.platform.ready"} | BASE,
    "pyctl.platform.netns": {"pyctl.platform.netlink", "pyctl.signal_shield"} | BASE,
    "pyctl.platform.process": {"pyctl.platform.netns", "pyctl.platform.ready"} | BASE,
    "pyctl.platform.inhabitants": {
        "pyctl.platform.absence",
        "pyctl.platform.netns",
        "pyctl.platform.process",
    }
    | BASE,
    "pyctl.platform.iproute": NETLINK | BASE,
    "pyctl.platform.bridge": {"pyctl.platform.netlink"} | BASE,
    "pyctl.platform.tc": NETLINK | BASE,
    "pyctl.platform.netfilter": {"pyctl.platform.sysctl"} | NETLINK | BASE,
    "pyctl.platform.watch": {"pyctl.platform.tc"} | NETLINK | BASE,
    "pyctl.platform.bpf": {"pyctl.platform.iproute", "pyctl.platform.tc"}
    | NETLINK
    | BASE,
    "pyctl.platform.sockets": {"pyctl.platform.process"} | NETLINK | BASE,
    "pyctl.platform.probe_scratch": {
        "pyctl.platform.bpf",
        "pyctl.platform.netlink",
        "pyctl.platform.tc",
    }
    | BASE,
    "pyctl.doctor": BASE,
    "pyctl.runtime": BASE,
    "pyctl.intercept.names": BASE,
    "pyctl.intercept.gso": {"pyctl.platform"} | BASE,
    "pyctl.intercept.enforcer": {
        "pyctl.intercept.gso",
        "pyctl.intercept.names",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.intercept.kinds": {"pyctl.platform.netlink"} | BASE,
    "pyctl.intercept.restore": {"pyctl.platform"} | BASE,
    "pyctl.intercept.steps": {
        "pyctl.intercept.kinds",
        "pyctl.intercept.names",
        "pyctl.intercept.restore",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.intercept.survey": {
        "pyctl.intercept.enforcer",
        "pyctl.intercept.kinds",
        "pyctl.intercept.restore",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.intercept": {
        "pyctl.intercept.enforcer",
        "pyctl.intercept.gso",
        "pyctl.intercept.kinds",
        "pyctl.intercept.names",
        "pyctl.intercept.restore",
        "pyctl.intercept.steps",
        "pyctl.intercept.survey",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.datapath": {"pyctl.abi", "pyctl.platform"} | BASE,
    "pyctl.datapath.ebpf": {
        "pyctl.abi",
        "pyctl.datapath",
        "pyctl.platform",
        "pyctl.signal_shield",
    }
    | BASE,
    "pyctl.datapath.u32": {"pyctl.abi", "pyctl.datapath", "pyctl.platform"}
    | {"fallback_tc"}
    | BASE,
    "pyctl.datapath.drivers": {
        "pyctl.abi",
        "pyctl.datapath",
        "pyctl.datapath.ebpf",
        "pyctl.datapath.u32",
        "pyctl.platform",
    }
    | BASE,
    "pyctl.engine": {"pyctl.abi", "pyctl.abi_build", "pyctl.signal_shield"} | BASE,
    "pyctl.engine.process": {"pyctl.abi", "pyctl.engine"} | BASE,
    "pyctl.engine.dp": {"pyctl.engine", "pyctl.engine.process"} | BASE,
    "pyctl.engine.main": {"pyctl.engine", "pyctl.engine.dp", "pyctl.engine.process"}
    | BASE,
    "pyctl.engine.__main__": {"pyctl.block_imports", "pyctl.engine.main"} | BASE,
    "pyctl.engine.supervisor": {"pyctl.abi", "pyctl.engine", "pyctl.platform"} | BASE,
    "pyctl.engine.workers": {"pyctl.abi", "pyctl.engine", "pyctl.engine.supervisor"}
    | BASE,
    "pyctl.state": {
        "pyctl.policy.document",
        "pyctl.policy.evaluate",
        "pyctl.runtime",
    }
    | BASE,
    "pyctl.telemetry": {
        "pyctl.abi",
        "pyctl.datapath",
        "pyctl.engine",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.policy.document",
        "pyctl.policy.evaluate",
        "pyctl.state",
    }
    | BASE,
    "pyctl.telemetry.history": {
        "pyctl.engine",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.policy",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.controller.loop": BASE,
    "pyctl.controller.view": {"pyctl.intercept", "pyctl.policy", "pyctl.state"} | BASE,
    "pyctl.telemetry.looked_up": {"pyctl.engine", "pyctl.engine.workers"} | BASE,
    "pyctl.telemetry.open_flows": {
        "pyctl.engine",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.policy.document",
        "pyctl.policy.evaluate",
        "pyctl.state",
        "pyctl.telemetry.history",
        "pyctl.telemetry.looked_up",
    }
    | BASE,
    "pyctl.controller.steering": {
        "pyctl.datapath",
        "pyctl.datapath.drivers",
        "pyctl.engine",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.platform",
        "pyctl.policy.compile",
        "pyctl.state",
    }
    | BASE,
    "pyctl.controller.commit_order": {
        "pyctl.controller.steering",
        "pyctl.platform",
        "pyctl.policy.compile",
    }
    | BASE,
    "pyctl.controller.context": {
        "pyctl.controller.commit_order",
        "pyctl.controller.steering",
        "pyctl.free_space",
        "pyctl.intercept",
        "pyctl.platform",
        "pyctl.policy.compile",
        "pyctl.policy.document",
        "pyctl.state",
        "pyctl.telemetry",
        "pyctl.telemetry.history",
    }
    | BASE,
    "pyctl.controller.workloads": {
        "pyctl.controller.context",
        "pyctl.intercept",
        "pyctl.intercept.survey",
        "pyctl.platform",
        "pyctl.policy.compile",
        "pyctl.policy.document",
        "pyctl.runtime",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.controller": {
        "pyctl.controller.context",
        "pyctl.controller.workloads",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.intercept",
        "pyctl.intercept.steps",
        "pyctl.intercept.survey",
        "pyctl.platform",
        "pyctl.policy.document",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.observe": {
        "pyctl.controller",
        "pyctl.controller.context",
        "pyctl.controller.workloads",
        "pyctl.datapath",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.intercept",
        "pyctl.intercept.enforcer",
        "pyctl.intercept.survey",
        "pyctl.platform",
        "pyctl.policy.compile",
        "pyctl.policy.document",
        "pyctl.runtime",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.agent": {
        "pyctl.controller",
        "pyctl.datapath",
        "pyctl.datapath.drivers",
        "pyctl.engine.supervisor",
        "pyctl.engine.workers",
        "pyctl.intercept",
        "pyctl.observe",
        "pyctl.platform",
        "pyctl.policy",
        "pyctl.runtime",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.api.client": BASE,
    "pyctl.api.peer": set(),
    "pyctl.api.scrape": set(),
    "pyctl.api.wrong": {"pyctl.errors"},
    "pyctl.api.schema": BASE,
    "pyctl.api.v1": {
        "pyctl.abi",
        "pyctl.agent",
        "pyctl.api.peer",
        "pyctl.api.schema",
        "pyctl.api.scrape",
        "pyctl.controller.loop",
        "pyctl.controller.view",
        "pyctl.platform",
        "pyctl.policy",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.api": {
        "pyctl.abi",
        "pyctl.agent",
        "pyctl.api.peer",
        "pyctl.api.schema",
        "pyctl.api.v1",
        "pyctl.api.wrong",
        "pyctl.state",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.daemon": {
        "pyctl.abi",
        "pyctl.agent",
        "pyctl.api",
        "pyctl.platform",
        "pyctl.telemetry",
    }
    | BASE,
    "pyctl.cli.shared": {
        "pyctl.api.client",
        "pyctl.free_space",
        "pyctl.signal_shield",
    }
    | BASE,
    "pyctl.cli.policy": {"pyctl.api.client", "pyctl.cli.shared"} | BASE,
    "pyctl.cli": {"pyctl.api.client", "pyctl.cli.shared"} | BASE,
}
"""Unit → units that it may import, with all that is below them, besides itself."""

LAZY = {
    "pyctl.cli.agent": {"pyctl.daemon", "pyctl.block_imports"},
    "pyctl.cli.doctor": {"pyctl.doctor"},
    "pyctl.cli.engine": {"pyctl.engine.main"},
    "pyctl.cli.maps": {"pyctl.datapath"},
    "pyctl.cli.policy.import_": {"pyctl.platform", "pyctl.policy"},
    "pyctl.cli.policy.schema": {"pyctl.policy"},
}
"""What single commands may import besides, inside functions only."""

THIRD_PARTY: dict[str, set[str]] = {
    "pyctl.abi_build": {"cffi"},
    "pyctl.policy.document": {"yaml"},
    "pyctl.policy.learn": {"yaml"},
    "pyctl.policy.kubernetes": {"yaml"},
    "pyctl.platform.iproute": {"pyroute2"},
    "pyctl.runtime": {"docker", "requests"},
    "pyctl.datapath.ebpf": {"bcc"},
    "pyctl.engine": {"cffi", "structlog"},
    "pyctl.state": {"structlog"},
    "pyctl.telemetry": {"structlog"},
    "pyctl.controller": {"structlog"},
    "pyctl.observe": {"structlog"},
    "pyctl.agent": {"structlog"},
    "pyctl.daemon": {"structlog", "uvicorn"},
    "pyctl.api.schema": {"pydantic"},
    "pyctl.api.peer": {"fastapi", "h11", "uvicorn"},
    "pyctl.api.v1": {"fastapi", "prometheus_client"},
    "pyctl.api": {"fastapi"},
    "pyctl.cli": {"click", "rich"},
}
"""Packages that are not Python's own, for a unit and all below it. Units that are not here use none."""

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


def is_within(unit: str, others: set[str]) -> bool:
    """Whether it is one of these, or below one."""
    return any(unit == other or unit.startswith(f"{other}.") for other in others)


def is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in {"pyctl", "fallback_tc"}


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_imports_follow_the_table(file):
    module = name_of(file)
    unit, ours = unit_of(module), list(THIRD_PARTY)
    wrong = []
    for target, top in imports(ast.parse(file.read_text(encoding="utf-8")), module):
        head = target.split(".")[0]
        if is_ours(target):
            towards = unit_of(target)
            allowed = set(ALLOWED.get(unit, set()))
            if not top:
                allowed |= LAZY.get(module, set())
            good = towards == unit or is_within(towards, allowed)
        elif head in sys.stdlib_module_names:
            good = head not in ONLY_PLATFORM or is_within(unit, {"pyctl.platform"})
        else:
            good = any(
                head in THIRD_PARTY[one] for one in ours if is_within(unit, {one})
            )
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
                assert is_within(unit_of(target), {"pyctl.cli"} | BASE), target


def test_there_are_no_circles():
    """Of units as they import each other; the table alone may allow what nobody does."""
    done: set[str] = set()
    reached: dict[str, set[str]] = {}
    for file in modules():
        module = name_of(file)
        unit = unit_of(module)
        found = imports(ast.parse(file.read_text(encoding="utf-8")), module)
        towards = {unit_of(target) for target, _ in found if is_ours(target)}
        reached.setdefault(unit, set()).update(towards - {unit})

    def visit(unit: str, above: tuple[str, ...]) -> None:
        assert unit not in above, " → ".join([*above, unit])
        if unit not in done:
            for towards in reached.get(unit, ()):
                visit(towards, (*above, unit))
        done.add(unit)

    for unit in list(reached):
        visit(unit, ())
