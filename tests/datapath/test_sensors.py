"""Sensors on real traffic: nginx and curl, a server of raw TCP, large downloads, policies that change meanwhile."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.traffic import Program, tcp_echo
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
SIZE = 60_000_000
ECHO = 8080
CONF = """daemon off; master_process off; user root; pid {at}/pid; error_log /dev/null;
events {{}}
http {{ access_log {at}/log; client_body_temp_path {at}/body; client_max_body_size 100m; keepalive_requests 100000;
server {{ listen 80; listen [::]:80; root {at};
location /put/ {{ alias {at}/; dav_methods PUT; }}
location /echo {{ return 200 echo; }} }} }}
"""
# Sends the words, each in a segment of its own, and says how many bytes came back until the connection ended.
_TALK = """
ip, port, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
talk = socket.create_connection((ip, port), timeout=5)
talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
back, ended = b"", ""
try:
    for word in words:
        talk.sendall(word.encode())
        want = len(back) + len(word)
        while len(back) < want:
            data = talk.recv(65536)
            if not data: raise ConnectionError("closed")
            back += data
except (ConnectionError, TimeoutError) as error:
    ended = type(error).__name__
say(back=back.decode(), ended=ended)
"""


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): nginx and an echo server on an attached workload."""
    _host, (web, client) = lab.pods()
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(at=tmp_path))
    (tmp_path / "page").write_text("x" * SIZE)
    (tmp_path / "cards").write_text("a" * 100_000 + "SECRET-1234" + "b" * 100_000)
    web.spawn("nginx", "-c", str(conf), "-p", str(tmp_path), stdout=-3, stderr=-3)
    for ip in IPS.values():
        tcp_echo(web, ip, ECHO)
    wait_for(lambda: traffic.tcp_try(client, IPS["ipv4"], 80) == "open")
    agent.attach(web, "web")
    return web, client


def policy(agent, *patterns: str, action: str = "drop", mode: str = "protect") -> None:
    listed = "".join(
        f"      - {{id: p{at}, {one}}}\n" for at, one in enumerate(patterns)
    )
    sensors = (
        f"sensors:\n  data:\n    patterns:\n{listed}    groups: {{web: {action}}}\n"
        if patterns
        else ""
    )
    agent.policy(
        f"groups: {{web: {{selector: {{name: web}}}}}}\nmodes: {{web: {mode}}}\n{sensors}"
        "rules:\n  - {id: 1, from: any, to: web, action: allow}\n"
    )


SECRET = "regex: 'SECRET-[0-9]{4}', part: packet, severity: high"


def curl(client, *args: str, check: bool = False):
    return client.run("curl", "-s", "-g", "--max-time", "4", *args, check=check)


def url(ip: str, path: str) -> str:
    return f"http://[{ip}]{path}" if ":" in ip else f"http://{ip}{path}"


def talks(client, ip: str, *words: str) -> dict:
    return Program(client, _TALK, ip, str(ECHO), *words).heard()


def told(agent) -> list[dict]:
    return json.loads(agent.cli("events", "-o", "json", "--kind", "sensor").stdout)[
        "events"
    ]


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_raw_tcp_ends_before_the_last_byte_of_a_match(served, agent, ip):
    _web, client = served
    policy(agent, SECRET, action="reset")
    found = talks(client, ip, "near SECRET-12x4", " SECR", "ET-12", "34", "after")
    assert found["back"] == "near SECRET-12x4 SECRET-12"
    assert found["ended"] == "ConnectionResetError"
    (event,) = wait_for(lambda: told(agent))
    assert (event["reason"], event["severity"]) == ("data/p0", "high")
    assert "up to byte 28" in event["message"]
    assert "SECRET" not in event["message"]


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_parts_of_requests(served, agent, ip, tmp_path):
    _web, client = served
    policy(
        agent,
        'regex: "union +select|\'", part: url',
        "regex: '(?im)^x-evil:', part: header",
        "regex: 'SECRET-[0-9]{4}', part: body",
        action="reset",
    )
    good = ("/echo?q=unionselect", "/echo?q=it%20s")
    for path in good:
        assert curl(client, url(ip, path)).stdout == "echo", path
    assert curl(client, "-H", "X-Good: X-Evil:", url(ip, "/echo")).stdout == "echo"
    upload = tmp_path / "upload"
    upload.write_text("c" * 300_000 + "SECRET-1234")
    for args in (
        (url(ip, "/echo?q=1+UNION+union++select"),),
        (url(ip, "/echo?q=%27"),),
        (url(ip, "/echo?q=%2527"),),
        ("-H", "X-Evil: 1", url(ip, "/echo")),
        ("-T", str(upload), url(ip, "/put/new")),
        ("-T", "-", "-d", f"@{upload}", url(ip, "/put/chunked")),
    ):
        assert curl(client, *args).returncode != 0, args
    assert not (tmp_path / "new").exists()
    found = curl(client, url(ip, "/cards"))
    assert "SECRET-1234" in found.stdout or found.returncode
    assert {one["reason"] for one in told(agent)} == {"data/p0", "data/p1", "data/p2"}


def test_a_download_with_a_match_does_not_get_through(served, agent):
    _web, client = served
    policy(agent, SECRET)
    for ip in IPS.values():
        found = curl(client, "--max-time", "3", url(ip, "/cards"))
        assert found.returncode != 0
        assert "SECRET-1234" not in found.stdout


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_large_downloads_pass_and_no_flow_is_in_the_kernel(served, agent, ip):
    _web, client = served
    policy(agent, SECRET)
    ended = curl(client, "-o", "/dev/null", "-w", "%{size_download}", url(ip, "/page"))
    assert ended.stdout == str(SIZE)
    slow = client.spawn(
        *(
            "curl",
            "-s",
            "-g",
            "--limit-rate",
            "1M",
            "-o",
            "/dev/null",
            url(ip, "/page"),
        ),
        stdout=-3,
    )
    flows = wait_for(
        lambda: [
            one for one in agent.client.flows(50)["flows"] if one["look"] == "sensors"
        ]
    )
    assert all(one["kernel_packets"] == 0 for one in flows)
    assert "sensors look at all" in agent.cli("show", "web").stdout
    slow.kill()


def test_alerts_pass_and_are_told(served, agent):
    _web, client = served
    policy(agent, SECRET, mode="discover")
    found = talks(client, IPS["ipv4"], "SECRET-1", "234", "after")
    assert found == {"back": "SECRET-1234after", "ended": ""}
    (event,) = wait_for(lambda: told(agent))
    assert "ended" not in event["message"]
    assert "drop and reset hold in protect alone" in agent.cli("sensors", "web").stderr


def test_a_swap_under_traffic_loses_nothing(served, agent):
    _web, client = served
    policy(agent, SECRET)
    load = client.spawn(
        *(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
            "--limit-rate",
            "20M",
        ),
        url(IPS["ipv4"], "/page"),
        stdout=-1,
    )
    for number in range(8):
        policy(agent, SECRET, f"regex: 'other{number}', part: packet")
    assert load.communicate(timeout=60)[0].strip() in (str(SIZE), str(SIZE).encode())
    found = talks(client, IPS["ipv4"], "SECRET-1", "234")
    assert found["ended"]


def test_without_sensors_flows_go_to_the_kernel_again(served, agent):
    _web, client = served
    policy(agent, SECRET)
    talks(client, IPS["ipv4"], "hello")
    policy(agent)
    assert talks(client, IPS["ipv4"], "SECRET-1", "234")["ended"] == ""


def test_a_regex_that_the_library_does_not_take_is_refused(served, agent):
    with pytest.raises(Exception, match="pattern p0"):
        policy(agent, "regex: 'a(?=b)', part: packet")
