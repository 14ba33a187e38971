"""Rules for requests on real traffic: nginx and curl, kept alive, uploads and downloads of some MB."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
SIZE = 4_000_000
CONF = """daemon off; master_process off; user root; pid {at}/pid; error_log /dev/null;
events {{}}
http {{ access_log {at}/log; client_body_temp_path {at}/body; client_max_body_size 100m; keepalive_requests 100000;
server {{ listen 80; listen [::]:80; root {at};
location /api/ {{ alias {at}/; dav_methods PUT; }}
location /admin {{ return 200 secret; }}
location /echo {{ return 200 echo; }} }} }}
"""
_SOCKET = """
ip, port, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if mode == "serve":
    listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ip, port)); listener.listen(8); say(ready=True)
    peer, _ = listener.accept()
    asked = b""
    while b"\\r\\n\\r\\n" not in asked: asked += peer.recv(65536)
    peer.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
    while data := peer.recv(65536): peer.sendall(data)
else:
    talk = socket.create_connection((ip, port), timeout=10)
    talk.sendall(b"GET /api/ws HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
    head = b""
    while b"\\r\\n\\r\\n" not in head: head += talk.recv(65536)
    back = 0
    for _ in range(50):
        talk.sendall(bytes(range(256)) * 16)
        got = 0
        while got < 4096: got += len(talk.recv(65536))
        back += got
        time.sleep(0.01)
    say(back=back)
"""
_LINES = """
ip, size = sys.argv[1], int(sys.argv[2])
talk = socket.create_connection((ip, 80), timeout=20)
head = b"GET /echo HTTP/1.1\\r\\nHost: a\\r\\nX-One: 1\\r\\nX-Two: 2\\r\\nConnection: close\\r\\n\\r\\n"
begun = head.index(b"\\n") + 1
for at in (0, *range(begun, len(head), size)):
    talk.sendall(head[:begun] if at == 0 else head[at:at + size])
    time.sleep(0.1)
back = b""
while data := talk.recv(65536): back += data
say(back=back.decode()[-4:])
"""


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): nginx on a protected workload, of which /api/ may be asked."""
    _host, (web, client) = lab.pods()
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(at=tmp_path))
    (tmp_path / "page").write_text("x" * SIZE)
    (tmp_path / "small").write_text("hello")
    web.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), stdout=-3, stderr=-3)
    wait_for(lambda: traffic.tcp_try(client, IPS["ipv4"], 80) == "open")
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


def looked_at(agent, why: str) -> list[dict]:
    flows = agent.client.flows(50)["flows"]
    return [one for one in flows if one["look"] == why]


API = 'http: {methods: [GET, PUT], paths: ["/api/*", "/echo*"]}, action: allow'


def curl(client, *args: str, check: bool = True):
    return client.run("curl", "-s", "-g", "--max-time", "20", *args, check=check)


def url(ip: str, path: str) -> str:
    return f"http://[{ip}]{path}" if ":" in ip else f"http://{ip}{path}"


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_second_request_of_a_connection_is_denied(served, agent, ip, tmp_path):
    _web, client = served
    rules(agent, API)
    both = (url(ip, "/api/small"), url(ip, "/api/small"), url(ip, "/admin?token=x"))
    found = curl(client, *both, check=False)
    assert found.stdout == "hellohello"
    assert found.returncode == 56
    assert "admin" not in (tmp_path / "log").read_text()
    told = wait_for(lambda: agent.messages("/admin"))
    host = f"[{ip}]" if ":" in ip else ip
    assert told[0].endswith(f"GET {host}/admin")


def test_long_queries_pass_and_evasions_do_not(served, agent, tmp_path):
    _web, client = served
    ip = IPS["ipv4"]
    rules(agent, API)
    assert curl(client, url(ip, "/echo?msg=" + "A" * 2000)).stdout == "echo"
    for path in (
        "/api/../admin",
        "/%61dmin",
        "/api/%2e%2e/admin",
        "//admin",
        "/api/..%2fadmin",
    ):
        found = curl(client, "--path-as-is", url(ip, path), check=False)
        assert found.returncode != 0, path
        assert "secret" not in found.stdout
    assert "dmin" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_uploads_and_downloads_of_some_megabytes_pass(served, agent, ip, tmp_path):
    _web, client = served
    rules(agent, API)
    size = ("-o", "/dev/null", "-w", "%{size_download} ")
    found = curl(
        client, *size, url(ip, "/api/page"), "--next", "-s", *size, url(ip, "/api/page")
    )
    assert found.stdout == f"{SIZE} {SIZE} "
    put = ("-T", str(tmp_path / "page"), "-o", "/dev/null", "-w", "%{http_code}")
    assert curl(client, *put, url(ip, "/api/up")).stdout == "201"
    assert (tmp_path / "up").stat().st_size == SIZE
    chunked = ("-H", "Transfer-Encoding: chunked")
    assert curl(client, *chunked, *put, url(ip, "/api/up2")).stdout == "201"
    assert (tmp_path / "up2").stat().st_size == SIZE
    counts = agent.counts("web")
    assert not counts.get("tcp_differs")
    assert not counts.get("bad_request")


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_head_passes_that_is_larger_than_what_a_client_sends_unanswered(
    served, agent, ip
):
    _web, client = served
    rules(agent, API)
    cookies = [part for at in range(3) for part in ("-H", f"X-{at}: {'x' * 7500}")]
    asked = url(ip, "/echo")
    assert curl(client, *cookies, asked, asked).stdout == "echoecho"
    assert not agent.counts("web").get("bad_request")


@pytest.mark.parametrize("size", [1, 12])
def test_a_client_that_writes_its_head_in_pieces_is_answered(served, agent, size):
    """Of two small writes TCP sends the second once the first is acknowledged."""
    _web, client = served
    rules(agent, API)
    asked = traffic.Program(client, _LINES, IPS["ipv4"], str(size))
    assert asked.heard() == {"back": "echo"}


def test_a_websocket_goes_to_the_kernel(served, agent):
    web, client = served
    ip = IPS["ipv4"]
    server = traffic.Program(web, _SOCKET, ip, "9001", "serve")
    assert server.heard() == {"ready": True}
    rules(agent, API)
    before = agent.counts("web").get("flow_allow", 0)
    assert traffic.Program(client, _SOCKET, ip, "9001", "ask").heard() == {
        "back": 204800
    }
    assert agent.counts("web")["flow_allow"] > before


def test_such_flows_say_why_they_are_not_in_the_kernel(served, agent):
    _web, client = served
    ip = IPS["ipv4"]
    rules(agent, API)
    slow = client.spawn(
        "curl", "-s", "-o", "/dev/null", "--limit-rate", "400k", url(ip, "/api/page")
    )
    try:
        rows = wait_for(lambda: looked_at(agent, "requests"))
        assert rows[0]["app"] == "HTTP"
    finally:
        slow.kill()
