"""Rules for names, protocols and versions of TLS on real handshakes: those that they allow are whole, and of the others the
server hears nothing."""

from __future__ import annotations

import time

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
TLS, SINK = 443, 9000
ALLOWED, OTHER = "db.a.example", "db.b.example"
MANY = ",".join(f"protocol-{number:03}" for number in range(120))
"""Protocols that make a hello as large as one with a key of ML-KEM."""
_SINK = """
ip, port = sys.argv[1], int(sys.argv[2])
listener = socket.create_server((ip, port), family=family(ip)); say(ready=True)
peer, _ = listener.accept()
peer.settimeout(20)
got, ended = 0, "closed"
try:
    while data := peer.recv(65536): got += len(data)
except OSError as error: ended = type(error).__name__
say(got=got, ended=ended)
"""


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): OpenSSL's server, which asks for another ClientHello where X25519 is guessed, on a protected workload."""
    _host, (web, client) = lab.pods()
    key, made = str(tmp_path / "key"), str(tmp_path / "certificate")
    name = ("-subj", f"/CN={ALLOWED}", "-days", "9")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    web.run("openssl", "req", "-x509", *curve, *name, "-keyout", key, "-out", made)
    options = ("-key", key, "-cert", made, "-accept", str(TLS), "-quiet")
    curves = ("-groups", "P-256:P-384", "-alpn", "h2,protocol-007")
    quiet = {"stdin": -1, "stdout": -3, "stderr": -3}
    web.spawn("openssl", "s_server", *options, *curves, **quiet)
    wait_for(lambda: shakes(client, IPS["ipv4"]), seconds=10)
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


def shakes(client, ip: str, *options: str, name: str = ALLOWED, port: int = TLS) -> str:
    """The version of the handshake; "": there was none."""
    to = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    asked = ("-connect", to, "-servername", name, "-brief", *options)
    done = client.run("openssl", "s_client", *asked, input="Q\n", check=False)
    if "CONNECTION ESTABLISHED" not in done.stderr:
        return ""
    return done.stderr.partition("Protocol version: ")[2].split()[0]


HELLOS = {
    "small": ("-groups", "P-256"),
    "as-large-as-ml-kem": ("-groups", "P-256", "-alpn", f"{MANY},h2"),
    "records": ("-groups", "P-256", "-alpn", MANY, "-max_send_frag", "512"),
    "asked-again": ("-groups", "X25519:P-256"),
    "tls-1.2": ("-groups", "P-256", "-tls1_2"),
}


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
@pytest.mark.parametrize("options", HELLOS.values(), ids=HELLOS)
def test_the_allowed_name_passes_and_of_another_no_byte_does(
    served, agent, ip, options
):
    web, client = served
    rules(agent, 'tls: {sni: ["*.a.example"]}, action: allow')
    version = "TLSv1.2" if "-tls1_2" in options else "TLSv1.3"
    assert shakes(client, ip, *options) == version
    assert shakes(client, ip, *options, name="DB.A.example") == version
    sink = traffic.Program(web, _SINK, ip, str(SINK))
    assert sink.heard() == {"ready": True}
    assert shakes(client, ip, *options, name=OTHER, port=SINK) == ""
    assert sink.heard() == {"got": 0, "ended": "ConnectionResetError"}
    for other in (OTHER, "a.example", "evil-a.example"):
        assert shakes(client, ip, *options, name=other) == ""
    assert shakes(client, ip, *options, "-noservername", name=ALLOWED) == ""


def test_the_version_is_the_one_that_the_server_chooses(served, agent):
    _web, client = served
    rules(agent, 'tls: {min_version: "1.3"}, action: allow')
    assert shakes(client, IPS["ipv4"], "-tls1_2") == ""
    assert shakes(client, IPS["ipv4"]) == "TLSv1.3"


def test_all_protocols_that_a_client_offers_are_allowed_or_none(served, agent):
    _web, client = served
    rules(agent, "tls: {alpn: [h2, protocol-007]}, action: allow")
    assert shakes(client, IPS["ipv4"], "-alpn", "h2") == "TLSv1.3"
    assert shakes(client, IPS["ipv4"], "-alpn", "protocol-008,h2") == ""
    rules(agent, "tls: {alpn: [h2]}, action: deny", "action: allow")
    assert shakes(client, IPS["ipv4"], "-alpn", "protocol-007,h2") == ""
    assert shakes(client, IPS["ipv4"], "-alpn", "protocol-007") == "TLSv1.3"


def test_policy_test_foretells_it(served, agent):
    _web, client = served
    rules(agent, 'tls: {sni: [db.a.example], min_version: "1.3"}, action: allow')
    to = (IPS["ipv4"], "web", "tcp/443")
    outside = (packets.world_ip4, *to[1:])
    asked = [
        agent.client.test_policy(*outside, sni=name, tls_version=version)["opens"]
        for name, version in ((ALLOWED, "1.3"), (OTHER, "1.3"), (ALLOWED, None))
    ]
    assert asked == [True, False, None]
    assert shakes(client, IPS["ipv4"]) == "TLSv1.3"


def test_a_flow_of_an_allowed_name_leaves_the_engine(served, agent):
    _web, client = served
    rules(agent, f"tls: {{sni: [{ALLOWED}]}}, action: allow")
    before = agent.counts("web").get("flow_allow", 0)
    to = ("-connect", f"{IPS['ipv4']}:{TLS}", "-servername", ALLOWED)
    quiet = {"stdout": -3, "stderr": -3}
    talk = client.spawn("openssl", "s_client", "-quiet", *to, stdin=-1, **quiet)

    def is_carried():
        talk.stdin.write(b"line\n")
        talk.stdin.flush()
        time.sleep(0.1)
        return agent.counts("web").get("flow_allow", 0) > before

    wait_for(is_carried)
