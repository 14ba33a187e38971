"""Rules for requests on real HTTP/2: nginx, nghttpd and nghttpx with curl and nghttp, and gRPC's own library."""

from __future__ import annotations

import json
import sys

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
SIZE = 3_000_000
CONF = """daemon off; master_process off; user root; pid {at}/pid; error_log /dev/null;
events {{}}
http {{ access_log {at}/log; client_body_temp_path {at}/body; client_max_body_size 100m;
server {{ listen 80 http2; listen [::]:80 http2; root {at};
location /api/ {{ alias {at}/; dav_methods PUT; }}
location /admin {{ return 200 secret; }} }} }}
"""
_GRPC = """
import grpc, json, sys
from concurrent import futures
who, address = sys.argv[1:3]
plain = dict(request_deserializer=None, response_serializer=None)
def stream(request, context):
    yield from (request + bytes([at]) for at in range(50))
if who == "serve":
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for service in ("helloworld.Greeter", "helloworld.Admin"):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {
            "SayHello": grpc.unary_unary_rpc_method_handler(lambda request, context: b"hello " + request, **plain),
            "Many": grpc.unary_stream_rpc_method_handler(stream, **plain),
        }),))
    assert server.add_insecure_port(address)
    server.start(); print(json.dumps({"ready": True}), flush=True)
    server.wait_for_termination(120)
else:
    channel = grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)])
    found = []
    for method in sys.argv[3:]:
        try:
            if method.endswith("Many"):
                found.append(len(list(channel.unary_stream(method, None, None)(b"x" * 1000, timeout=10))))
            else:
                found.append(channel.unary_unary(method, None, None)(b"you", timeout=10).decode())
        except grpc.RpcError as error:
            found.append(error.code().name)
    print(json.dumps(found))
"""


_ASK = """
import h2.config, h2.connection, h2.events, socket, sys
talk = socket.create_connection((sys.argv[1], 80), timeout=10)
client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
client.initiate_connection()
host = f"[{sys.argv[1]}]" if ":" in sys.argv[1] else sys.argv[1]
try:
    for path in sys.argv[2:]:
        stream = client.get_next_available_stream_id()
        said = {"method": "GET", "authority": host, "scheme": "http", "path": path}
        client.send_headers(stream, [(f":{name}", text) for name, text in said.items()], end_stream=True)
        ended = False
        while not ended:
            talk.sendall(client.data_to_send())
            for event in client.receive_data(talk.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    print(event.data.decode(), end=" ")
                    client.acknowledge_received_data(event.flow_controlled_length, stream)
                ended |= isinstance(event, h2.events.StreamEnded)
except ConnectionResetError:
    print("reset")
"""


def rules(agent, *lines: str) -> None:
    text = "".join(
        f"  - {{id: {at}, from: any, to: web, {line}}}\n"
        for at, line in enumerate(lines, 1)
    )
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\nrules:\n" + text
    )


API = 'apps: [HTTP2], http: {methods: [GET, PUT], paths: ["/api/*"]}, action: allow'
CALLS = 'apps: [gRPC], http: {paths: ["/helloworld.Greeter/*"]}, action: allow'


def url(ip: str, path: str) -> str:
    return f"http://[{ip}]{path}" if ":" in ip else f"http://{ip}{path}"


def curl(client, *args: str, check: bool = True):
    told = ("--http2-prior-knowledge", "-s", "-g", "--max-time", "20")
    return client.run("curl", *told, *args, check=check)


def is_up(client) -> None:
    wait_for(lambda: traffic.tcp_try(client, IPS["ipv4"], 80) == "open")


@pytest.fixture
def pods(lab):
    """(web, client): two workloads."""
    _host, (web, client) = lab.pods()
    return web, client


@pytest.fixture
def served(pods, agent, tmp_path):
    """(web, client): nginx with HTTP/2 in the clear, of which /api/ may be asked."""
    web, client = pods
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(at=tmp_path))
    (tmp_path / "page").write_text("x" * SIZE)
    (tmp_path / "small").write_text("hello")
    web.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), stdout=-3, stderr=-3)
    is_up(client)
    agent.attach(web, "web")
    rules(agent, API)
    return web, client


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_a_second_request_of_a_connection_is_denied(served, agent, ip, tmp_path):
    _web, client = served
    asked = ("/api/small", "/api/small", "/admin?token=x", "/api/small")
    found = client.run(sys.executable, "-c", _ASK, ip, *asked)
    assert found.stdout == "hello hello reset\n"
    assert "admin" not in (tmp_path / "log").read_text()
    told = wait_for(lambda: agent.messages("/admin"))
    host = f"[{ip}]" if ":" in ip else ip
    assert told[0].endswith(f"GET {host}/admin")


def test_evasions_do_not_pass(served, tmp_path):
    _web, client = served
    for path in ("/api/../admin", "/%61dmin", "/api/%2e%2e/admin", "//admin"):
        asked = url(IPS["ipv4"], path)
        found = curl(client, "--path-as-is", asked, check=False)
        assert found.returncode != 0, path
        assert "secret" not in found.stdout
    assert "dmin" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_uploads_and_downloads_of_some_megabytes_pass(served, agent, ip, tmp_path):
    _web, client = served
    size = ("-o", "/dev/null", "-w", "%{size_download} %{http_version}")
    assert curl(client, *size, url(ip, "/api/page")).stdout == f"{SIZE} 2"
    put = ("-T", str(tmp_path / "page"), "-o", "/dev/null", "-w", "%{http_code}")
    assert curl(client, *put, url(ip, "/api/up")).stdout == "201"
    assert (tmp_path / "up").stat().st_size == SIZE
    counts = agent.counts("web")
    assert not counts.get("tcp_differs")
    assert not counts.get("bad_request")


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_many_streams_at_once_pass_and_one_among_them_is_denied(pods, agent, ip, tmp_path):  # fmt: skip
    """nghttp sends all requests before the first answer, with priorities and a large window."""
    web, client = pods
    (tmp_path / "api").mkdir()
    for at in range(20):
        (tmp_path / "api" / f"f{at}").write_text("x" * 5000)
    (tmp_path / "admin").write_text("secret")
    web.spawn("nghttpd", "--no-tls", "-d", str(tmp_path), "80", stdout=-3, stderr=-3)
    is_up(client)
    agent.attach(web, "web")
    rules(agent, API)
    all_ = [url(ip, f"/api/f{at}") for at in range(20)]
    found = client.run("nghttp", "-s", "-n", *all_)
    assert found.stdout.count(" 200 ") == 20, found.stdout
    found = client.run("nghttp", *all_, url(ip, "/admin"), check=False)
    assert "secret" not in found.stdout
    assert wait_for(lambda: agent.messages("/admin"))
    # By itself it writes IPv6 addresses without their brackets, which is no authority.
    load = client.run(
        "h2load", "-n", "3000", "-c", "4", "-m", "50", "-H", ":authority: web", all_[0]
    )
    assert "3000 succeeded, 0 failed" in load.stdout
    assert not agent.counts("web").get("bad_request")


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_after_an_upgrade_streams_are_judged(pods, agent, ip, tmp_path):
    web, client = pods
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "one").write_text("hello")
    (tmp_path / "admin").write_text("secret")
    web.spawn("nghttpd", "--no-tls", "-d", str(tmp_path), "8080", stdout=-3, stderr=-3)
    front = ("-f*,80;no-tls", "-b127.0.0.1,8080;;proto=h2", f"--pid-file={tmp_path}/pid")  # fmt: skip
    web.run("ip", "link", "set", "lo", "up")
    web.spawn("nghttpx", *front, "--single-process", "--workers=1", stdout=-3, stderr=-3)  # fmt: skip
    is_up(client)
    agent.attach(web, "web")
    rules(agent, 'apps: [HTTP], http: {paths: ["/api/*"]}, action: allow', API)
    one, admin = url(ip, "/api/one"), url(ip, "/admin")
    up = ("curl", "--http2", "-s", "-g", "--max-time", "20", "-w", "%{http_version} ")
    assert client.run(*up, one).stdout == "hello2 "
    found = client.run(*up, one, admin, check=False)
    assert "secret" not in found.stdout
    assert found.stdout.startswith("hello2 ")
    assert wait_for(lambda: agent.messages("/admin"))


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_calls_of_grpc_are_judged_by_service_and_method(pods, agent, ip):
    web, client = pods
    address = f"[{ip}]:80" if ":" in ip else f"{ip}:80"
    server = web.spawn(sys.executable, "-c", _GRPC, "serve", address, stdout=-1, text=True)  # fmt: skip
    assert json.loads(server.stdout.readline()) == {"ready": True}
    agent.attach(web, "web")
    rules(agent, CALLS)
    hello, many = "/helloworld.Greeter/SayHello", "/helloworld.Greeter/Many"
    methods = (hello, many, hello, "/helloworld.Admin/SayHello")
    found = json.loads(client.run(sys.executable, "-c", _GRPC, "ask", address, *methods).stdout)  # fmt: skip
    assert found == ["hello you", 50, "hello you", "UNAVAILABLE"]
    assert wait_for(lambda: agent.messages("/helloworld.Admin/SayHello"))
    assert agent.client.flows(50)["flows"][0]["app"] == "gRPC"
