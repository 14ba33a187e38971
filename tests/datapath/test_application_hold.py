"""Real servers behind rules for applications: what waits, what crosses, and what ends up in the kernel."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
REDIS, WEB, SINK = 6379, 80, 9000
SIZE, PAGE = 1_000_000, 8_000_000
_SINK = """
ip, port = sys.argv[1], int(sys.argv[2])
listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((ip, port)); listener.listen(8); say(ready=True)
while True:
    peer, _ = listener.accept()
    peer.settimeout(20)
    got, ended = 0, "closed"
    try:
        while data := peer.recv(65536): got += len(data)
    except OSError as error: ended = type(error).__name__
    say(got=got, ended=ended)
"""
_SAYS = """
ip, port, said, wait = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), float(sys.argv[4])
began = time.monotonic()
talk = socket.create_connection((ip, port), timeout=10); opened = time.monotonic() - began
time.sleep(wait)
talk.sendall(said); began = time.monotonic()
try: back = len(talk.recv(100)); ended = "answered" if back else "closed"
except OSError as error: ended = type(error).__name__
say(opened=opened, ended=ended, after=time.monotonic() - began)
"""
SSH = "SSH-2.0-client\r\n"


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): redis, nginx and a server that counts bytes, on a protected workload."""
    _host, (web, client) = lab.pods()
    options = ("--bind", "*", "-::*", "--protected-mode", "no", "--save", "")
    quiet = {"stdout": -3, "stderr": -3}
    web.spawn("redis-server", *options, "--dir", str(tmp_path), **quiet)
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; user root; pid {tmp_path}/pid; error_log /dev/null;\n"
        "events {}\nhttp { access_log off; server { listen 80; listen [::]:80;\n"
        f"root {tmp_path}; }} }}\n"
    )
    (tmp_path / "page").write_text("x" * PAGE)
    web.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), **quiet)
    for port in (REDIS, WEB):
        wait_for(lambda port=port: traffic.tcp_try(client, IPS["ipv4"], port) == "open")
    agent.attach(web, "web")
    return web, client


def rules(agent, *lines: str) -> None:
    text = "".join(
        f"  - {{id: {at}, from: any, to: web, {line}}}\n"
        for at, line in enumerate(lines, 1)
    )
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\nrules:\n" + text
    )


def says(ns, ip: str, port: int, text: str, wait: float = 0) -> dict:
    return traffic.Program(ns, _SAYS, ip, str(port), text, str(wait)).heard()


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_the_allowed_application_works_and_goes_to_the_kernel(served, agent, ip):
    _web, client = served
    rules(agent, "apps: [Redis, HTTP], action: allow")
    assert client.run("redis-cli", "-h", ip, "ping").stdout.strip() == "PONG"
    big = "v" * SIZE
    client.run("redis-cli", "-h", ip, "-x", "set", "key", input=big)
    assert client.run("redis-cli", "-h", ip, "get", "key").stdout.strip() == big
    url = f"http://[{ip}]/page" if ":" in ip else f"http://{ip}/page"
    before = agent.counts("web")
    # With pauses, in which a flow leaves the engine.
    told = ("-s", "-o", "/dev/null", "-w", "%{size_download}", "--limit-rate", "16M")
    assert client.run("curl", *told, url).stdout == str(PAGE)
    counts = agent.counts("web")
    carried, judged = (counts[of] - before[of] for of in ("flow_allow", "to_engine"))
    assert carried > judged
    assert not counts.get("default_deny")
    assert not counts.get("tcp_useless")
    assert not counts.get("tcp_differs")


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_of_a_denied_application_no_byte_arrives(served, agent, ip):
    web, client = served
    sink = traffic.Program(web, _SINK, ip, str(SINK))
    assert sink.heard() == {"ready": True}
    rules(agent, "apps: [HTTP], action: allow")
    found = says(client, ip, SINK, SSH)
    assert found["ended"] == "ConnectionResetError"
    assert found["after"] < 1
    assert sink.heard() == {"got": 0, "ended": "ConnectionResetError"}
    refused = client.run("redis-cli", "-h", ip, "ping", check=False)
    assert refused.stdout.strip() != "PONG"


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_server_of_another_application_does_not_answer_what_is_allowed(
    served, agent, ip
):
    """Redis skips a line that it does not understand."""
    _web, client = served
    rules(agent, "apps: [HTTP], action: allow")
    found = says(client, ip, REDIS, "GET / HTTP/1.1\r\n\r\n")
    assert found["ended"] == "ConnectionResetError"
    told = json.loads(agent.cli("flows", "-o", "json", "--verdict", "deny").stdout)
    assert {flow["app"] for flow in told["flows"]} == {"unknown"}


def test_a_command_that_is_typed_in_is_answered_at_once(served, agent):
    _web, client = served
    rules(agent, "apps: [Redis], action: allow")
    found = says(client, IPS["ipv4"], REDIS, "PING\r\n")
    assert found["ended"] == "answered"
    assert found["after"] < 1


def test_a_silent_client_may_take_its_time_and_then_has_three_seconds(served, agent):
    web, client = served
    ip = IPS["ipv4"]
    sink = traffic.Program(web, _SINK, ip, str(SINK))
    assert sink.heard() == {"ready": True}
    rules(agent, "apps: [HTTP], action: allow")
    found = says(client, ip, SINK, "GE", wait=4)
    assert found["opened"] < 1
    assert found["ended"] == "ConnectionResetError"
    assert 2.5 < found["after"] < 4.5
    assert sink.heard() == {"got": 0, "ended": "ConnectionResetError"}


def test_what_stays_unknown_passes_where_the_rule_says_so(served, agent):
    web, client = served
    ip = IPS["ipv4"]
    sink = traffic.Program(web, _SINK, ip, str(SINK))
    assert sink.heard() == {"ready": True}
    rules(agent, "apps: [HTTP], app_unknown: allow, action: allow")
    talk = says(client, ip, SINK, "GE")
    assert talk["ended"] == "TimeoutError"
    assert sink.heard()["got"] == 2
