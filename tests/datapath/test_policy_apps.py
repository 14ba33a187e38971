"""Rules for applications on real traffic, on each datapath: what one allows passes, of what it denies nothing is
answered, and `policy test` foretold both."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.pace import patient, wait_for

IPS = [packets.pod_one_ip4, packets.pod_one_ip6]
BY_FAMILY = pytest.mark.parametrize("ip", IPS, ids=["ipv4", "ipv6"])
PORT = 8080
HEAD = """groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {web: protect, client: discover}
rules:
"""
# Answers HTTP in HTTP, and anything else with what it was sent.
SERVER = """
ip, port = sys.argv[1], int(sys.argv[2])
listener = socket.create_server((ip, port), family=family(ip), backlog=64); say(ready=True)
while True:
    try:
        talk = listener.accept()[0]; talk.settimeout(10); data = talk.recv(4096)
        talk.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok" if data[:4] == b"GET " else data)
        talk.close()
    except OSError: pass
"""
CLIENT = """
ip, port, seconds, text = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
try:
    talk = socket.create_connection((ip, port), timeout=seconds)
    talk.sendall(text.encode()); say(answered=bool(talk.recv(4096)))
except OSError: say(answered=False)
"""
TEXTS = {"HTTP": "GET / HTTP/1.1\r\nHost: web\r\n\r\n", "unknown": "~" * 300}


def policy(*rules: str) -> str:
    lines = "".join(
        f"  - {{id: {number}, from: any, to: web, {rule}}}\n"
        for number, rule in enumerate(rules, 1)
    )
    return HEAD + lines


@pytest.fixture(params=["ebpf", "u32"])
def answered(request, lab, agent):
    """Name: answered. Scope: function. Depends: lab, agent. Whether web answers the client in an application."""
    if request.param == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    _host, (web, client) = lab.pods()
    for ip in IPS:
        traffic.Program(web, SERVER, ip, str(PORT)).heard()
    agent.attach(web, "web", datapath=request.param)
    agent.attach(client, "client", datapath=request.param)

    def ask(app: str, ip: str) -> bool:
        seconds = str(patient(8))
        program = traffic.Program(client, CLIENT, ip, str(PORT), seconds, TEXTS[app])
        return bool(program.heard()["answered"])

    return ask


def foretold(agent, app=None):
    answer = agent.client.test_policy("client", "web", f"tcp/{PORT}", app=app)
    return answer["opens"]


@BY_FAMILY
@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        (("apps: [HTTP], action: allow",), ["HTTP"]),
        (("apps: [http], action: deny", "action: allow"), ["unknown"]),
        (("apps: [SSH], app_unknown: allow, action: allow",), ["unknown"]),
        (("apps: [HTTP], app_unknown: deny, action: allow", "action: allow"), ["HTTP"]),
    ],
    ids=["allow", "deny", "allow-unknown", "deny-unknown"],
)
def test_each_application_meets_its_rule(agent, answered, ip, rules, passes):
    agent.policy(policy(*rules))
    assert foretold(agent) is None
    for app in TEXTS:
        assert answered(app, ip) is foretold(agent, app) is (app in passes), app


def test_a_staged_rule_for_an_application_records_what_it_would_deny(agent, answered):
    agent.policy(policy("apps: [HTTP], stage: true, action: deny", "action: allow"))
    assert answered("HTTP", IPS[0])
    assert answered("unknown", IPS[0])

    def violations():
        return agent.client.flows(100, verdict="violation")["flows"]

    (flow,) = wait_for(violations)
    assert (flow["rule_id"], flow["reason"], flow["app"]) == (1, "staged_deny", "HTTP")
