"""Fixtures for the core's tests: the extension, one core, one IP version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.engine.core import extension, harness
from tests.unit.engine.core.dns import World
from tests.unit.engine.core.node import Node
from tests.unit.engine.core.wire import NETS, Net


@pytest.fixture(scope="session")
def core_module(request: pytest.FixtureRequest) -> Any:
    """Name: core_module. Scope: session. Depends: gcc. Built once for each state of the sources."""
    return extension.build(request.config.cache.mkdir("segctl-core"))


@pytest.fixture
def core(core_module: Any) -> Iterator[harness.Core]:
    """Name: core. Scope: function. Depends: core_module. Protects its port and denies by default."""
    made = harness.Core(core_module)
    made.set_policy()
    yield made
    made.close()


@pytest.fixture
def big_core(core_module: Any) -> Iterator[harness.Core]:
    """Name: big_core. Scope: function. Depends: core_module. As core, with room for 20,000 sessions."""
    made = harness.Core(core_module, sessions=20000)
    made.set_policy()
    yield made
    made.close()


@pytest.fixture(params=NETS, ids=lambda net: f"ipv{net.family}")
def net(request: pytest.FixtureRequest) -> Net:
    """Name: net. Scope: function. Depends: nothing. Each IP version in turn."""
    return request.param


@pytest.fixture
def node(core_module: Any) -> Iterator[Node]:
    """Name: node. Scope: function. Depends: core_module. A core that takes node policies."""
    made = Node(core_module)
    yield made
    made.core.close()


@pytest.fixture
def four(core_module: Any) -> Iterator[World]:
    """Name: four. Scope: function. Depends: core_module. A workload that looks names up, by IPv4."""
    made = World(core_module)
    yield made
    made.core.close()
