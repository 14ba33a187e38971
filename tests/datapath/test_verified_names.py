"""Two names on one address, one of them allowed: nginx and curl over TLS and HTTP, Initial packets of QUIC, IPv4 and IPv6."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests import packets
from tests.lab.net import named, traffic
from tests.lab.pace import wait_for
from tests.unit.engine.core.quic import crypto, cut, initial
from tests.unit.engine.core.test_sg_judge_quic import message

GOOD, EVIL = "good.test", "evil.test"
IPS = {"ipv4": packets.world_ip4, "ipv6": packets.world_ip6}
NAMES = {GOOD: [*IPS.values()], EVIL: [*IPS.values()]}
POLICY = f"""
groups:
  pods: {{selector: {{name: "pod*"}}}}
  resolvers: {{cidrs: [{packets.gateway_ip4}, "{packets.gateway_ip6}"]}}
  far: {{fqdns: [{GOOD}], verify: true}}
modes: {{pods: protect}}
rules:
  - {{id: 1, from: pods, to: resolvers, ports: [udp/53, tcp/53], action: allow}}
  - {{id: 2, from: pods, to: far, ports: [tcp/80, tcp/443, tcp/22, udp/443], action: allow}}
"""
CONF = """daemon off; master_process off; user root; pid {at}/pid; error_log /dev/null;
events {{}}
http {{ access_log {at}/log; ssl_certificate {at}/certificate; ssl_certificate_key {at}/key;
server {{ listen 80 default_server; listen [::]:80 default_server; listen 443 ssl default_server;
listen [::]:443 ssl default_server; server_name good.test; location / {{ return 200 good; }} }}
server {{ listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl; server_name evil.test;
location / {{ return 200 evil; }} }} }}
"""
_BANNER = """
import threading
def greet(listener):
    while True:
        talk = listener.accept()[0]; talk.sendall(b"SSH-2.0-test\\r\\n"); talk.close()
for ip in ("0.0.0.0", "::"):
    listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ip == "::": listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((ip, 22)); listener.listen(8)
    threading.Thread(target=greet, args=(listener,), daemon=True).start()
say(ready=True); time.sleep(600)
"""
_HEAR = """
ip = sys.argv[1]
talk = socket.socket(family(ip), socket.SOCK_DGRAM); talk.bind((ip, 443)); talk.settimeout(2); say(ready=True)
got = []
try:
    while True: got.append(len(talk.recv(65536)))
except OSError: say(got=got)
"""
_SEND = """
ip = sys.argv[1]
talk = socket.socket(family(ip), socket.SOCK_DGRAM); talk.connect((ip, 443))
for one in sys.argv[2:]: talk.send(bytes.fromhex(one)); time.sleep(0.05)
say(sent=True)
"""
_FIRST = """
ip = sys.argv[1]
start = time.monotonic(); talk = socket.create_connection((ip, 22), timeout=10); got = talk.recv(100)
say(got=got.decode(), took=time.monotonic() - start)
"""


@pytest.fixture(params=[1, 2], ids=["engine", "engines"])
def client(request, lab, agent_with, tmp_path):
    """Name: client. Scope: function. Depends: lab, agent_with. (pod, agent, host): a workload that was told one of two names."""
    agent = agent_with("--workers", str(request.param))
    host, (pod, _) = lab.pods()
    named.serve_world(host)
    named.dnsmasq(host, tmp_path, NAMES)
    key, made = str(tmp_path / "key"), str(tmp_path / "certificate")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subject = ("-subj", f"/CN={GOOD}", "-days", "9")
    host.run("openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", made)
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(at=tmp_path))
    host.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), stdout=-3, stderr=-3)
    wait_for(lambda: traffic.tcp_try(pod, IPS["ipv4"], 443) == "open")
    agent.attach(pod, "pod0")
    agent.policy(POLICY)
    asker = named.Client(pod, tmp_path)
    assert set(asker.look(GOOD)) == set(IPS.values())
    return pod, agent, host


def get(pod, name: str, ip: str, scheme: str, *options: str) -> str:
    """What the server says to whom asks for the name at the address; "": nothing."""
    port = 443 if scheme == "https" else 80
    to = f"[{ip}]" if ":" in ip else ip
    where = ("--resolve", f"{name}:{port}:{to}") if name else ()
    url = f"{scheme}://{name or to}/x?secret=1"
    asked = ("curl", "-sSk", "-m", "5", "--noproxy", "*", *where, *options, url)
    return pod.run(*asked, check=False).stdout


def denials(agent) -> list[dict]:
    found = agent.client.events(100)["events"]
    return [one for one in found if one["reason"] == "name_mismatch"]


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_of_two_names_on_an_address_only_the_allowed_one_is_served(client, ip):
    pod, agent, _host = client
    for scheme in ("https", "http"):
        assert get(pod, GOOD, ip, scheme) == "good"
        assert get(pod, EVIL, ip, scheme) == ""
        assert get(pod, "GOOD.test", ip, scheme) == "good"
    # Who asks for the address itself is served as the address's default.
    assert get(pod, "", ip, "https") == "good"
    assert get(pod, GOOD, ip, "http", "-H", "Host: evil.test") == ""
    wait_for(lambda: len(denials(agent)) >= 3)
    told = [one["message"] for one in denials(agent)]
    assert any(message.endswith(f": {EVIL}") for message in told)
    assert any(message.endswith(f": GET {EVIL}/x") for message in told)
    assert "secret" not in agent.cli("events").stdout
    flows = agent.client.flows(50)["flows"]
    assert {GOOD, f"GET {GOOD}/x"} <= {one["shown"] for one in flows}
    assert f"TLS {GOOD}" in agent.cli("flows").stdout


def test_a_group_that_is_not_verified_allows_the_address(client):
    pod, agent, _host = client
    agent.policy(POLICY.replace("verify: true", "verify: false"))
    for scheme in ("https", "http"):
        assert get(pod, EVIL, IPS["ipv4"], scheme) == "evil"
    assert denials(agent) == []


def test_requests_in_a_row_are_judged_each(client):
    pod, agent, _host = client
    url = [f"http://{GOOD}/1", f"http://{EVIL}/2", f"http://{GOOD}/3"]
    ip = IPS["ipv4"]
    proxy = ("-x", f"http://{ip}:80")
    said = pod.run("curl", "-sS", "-m", "5", *proxy, *url, check=False).stdout
    assert "evil" not in said
    wait_for(lambda: denials(agent))


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_who_waits_for_the_server_is_not_delayed(client, ip):
    pod, _agent, host = client
    server = traffic.Program(host, _BANNER)
    assert server.heard() == {"ready": True}
    said = traffic.Program(pod, _FIRST, ip).heard()
    assert said["got"] == "SSH-2.0-test\r\n"
    assert said["took"] < 1


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_the_name_in_quic_counts_too(client, ip):
    pod, agent, host = client
    ear = traffic.Program(host, _HEAR, ip)
    assert ear.heard() == {"ready": True}
    good = [
        initial(one, count=at)
        for at, one in enumerate(cut(message(GOOD.encode()), [90]))
    ]
    evil = [initial(crypto(message(EVIL.encode())))] * 2
    for datagrams in (good, evil):
        hexes = [one.hex() for one in datagrams]
        assert traffic.Program(pod, _SEND, ip, *hexes).heard() == {"sent": True}
    assert ear.heard() == {"got": [len(one) for one in good]}
    wait_for(lambda: denials(agent))
    assert denials(agent)[-1]["message"].endswith(f": {EVIL}")
    flows = agent.client.flows(50)["flows"]
    assert any(one["app"] == "QUIC" and one["shown"] == GOOD for one in flows)


def test_another_engine_goes_on(client):
    pod, agent, _host = client
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 20)
    time.sleep(0.5)
    for scheme in ("https", "http"):
        assert get(pod, GOOD, IPS["ipv4"], scheme) == "good"
        assert get(pod, EVIL, IPS["ipv4"], scheme) == ""
