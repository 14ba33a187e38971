"""The real servers of tests/lab/servers under rules for applications, on each datapath: each is recognised on a port that is
not its own, its client's work is done where a rule allows its application, and where a rule asks for another one, no byte of
payload crosses, either way."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net.netns import Netns
from tests.lab.pace import LabError, in_time
from tests.lab.segctl.agent import AgentProcess
from tests.lab.servers.counting import PayloadCount
from tests.lab.servers.table import SERVERS, Client, Place, Server, port_of

IPS = (packets.pod_one_ip4, packets.pod_one_ip6)
START_S = 90
ROWS = [(server, ip) for server in SERVERS for ip in IPS]


def name(server: Server, ip: str) -> str:
    return f"{server.name}, {'IPv6' if ':' in ip else 'IPv4'}"


def other_app(server: Server) -> str:
    return "SSH" if server.app != "SSH" else "HTTP"


def policy(app_of: Callable[[Server], str]) -> str:
    rules = "".join(
        f"  - {{id: {at}, from: any, to: web, ports: [{server.proto}/{port_of(server)}], apps: [{app_of(server)}], action: allow}}\n"
        for at, server in enumerate(SERVERS, 1)
    )  # fmt: skip
    return f"groups: {{web: {{selector: {{name: web}}}}}}\nmodes: {{web: protect}}\nrules:\n{rules}"


def in_parallel(rows: Iterable, work: Callable[..., object]) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda row: work(*row), rows))


def listening(ns: Netns) -> set[int]:
    """Return the ports that sockets of the namespace are bound to."""
    with ns.inside():
        tables = [Path("/proc/thread-self/net", one).read_text() for one in ("tcp", "tcp6", "udp", "udp6")]  # fmt: skip
    lines = (line.split() for table in tables for line in table.splitlines()[1:])
    return {int(line[1].rpartition(":")[2], 16) for line in lines}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Name: folder. Scope: function. A directory in which servers that are not root may work."""
    with tempfile.TemporaryDirectory(prefix="segt-servers-", ignore_cleanup_errors=True) as made:  # fmt: skip
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(params=["ebpf", "u32"])
def datapath(request) -> str:
    """Name: datapath. Scope: function. Each that this kernel has."""
    if request.param == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    return str(request.param)


@pytest.fixture
def served(datapath, lab, agent, folder) -> tuple[Netns, Netns]:
    """Name: served. Scope: function. Depends: datapath, lab, agent, folder. (web, client): every server listens on web, which is attached."""
    _host, (web, client) = lab.pods()
    for server in SERVERS:
        own = folder / server.name
        own.mkdir()
        server.start(Place(web, own, port_of(server)))

    wanted = {port_of(server) for server in SERVERS}
    if not in_time(lambda: wanted <= listening(web), START_S):
        missing = [server for server in SERVERS if port_of(server) not in listening(web)]  # fmt: skip
        logs = [f"{one.name}: {(folder / one.name / 'log').read_text()[-800:]}" for one in missing]  # fmt: skip
        raise LabError("servers that do not listen:\n" + "\n".join(logs))
    agent.attach(web, "web", datapath=datapath)
    return web, client


@pytest.fixture
def works(served, folder: Path) -> Callable[[], dict[str, bool]]:
    """Name: works. Scope: function. Depends: served, folder. Lets all clients work, and returns which were done."""

    def work() -> dict[str, bool]:
        def one(server: Server, ip: str) -> bool:
            return server.work(Client(served[1], ip, port_of(server), folder / server.name))  # fmt: skip

        names = (name(*row) for row in ROWS)
        return dict(zip(names, in_parallel(ROWS, one), strict=True))

    return work


def applications(agent: AgentProcess, verdict: str) -> dict[str, set[str]]:
    """Return by server and address which applications flows were certain to be."""
    by_port = {port_of(server): server for server in SERVERS}
    found: dict[str, set[str]] = {}
    for flow in agent.client.flows(1000, verdict=verdict)["flows"]:
        server = by_port.get(flow["destination_port"])
        if server:
            app = f"{flow['app']}{'?' if flow['app_guessed'] else ''}"
            found.setdefault(name(server, flow["destination"]), set()).add(app)
    return found


def test_each_is_recognised_allowed_as_itself_and_denied_as_another(
    served, works, agent
):
    web, client = served
    expected = {name(server, ip): {server.app} for server, ip in ROWS}
    every = dict.fromkeys(expected, True)

    agent.policy(policy(lambda server: server.app))
    assert works() == every
    in_time(lambda: applications(agent, "allow") == expected, 3)
    assert applications(agent, "allow") == expected

    agent.policy(policy(other_app))
    counts = [PayloadCount(web), PayloadCount(client)]
    for count in counts:
        count.since()
    assert works() == dict.fromkeys(expected, False)
    crossed = {
        (server.name, side): size
        for side, count in zip(("to the server", "to the client"), counts, strict=True)
        for port, size in count.since().items()
        for server in SERVERS
        if port == port_of(server) and size
    }
    assert crossed == {}
    shown = {name(one, ip): {one.denied_as or one.app} for one, ip in ROWS}
    in_time(lambda: applications(agent, "deny") == shown, 3)
    assert applications(agent, "deny") == shown
