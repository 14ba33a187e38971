"""Real servers and clients through a protected workload: they must not notice, and what is not
theirs must not pass."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
NAME = "web.segt.test"


def bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def quiet(ns, *argv: str, **kwargs) -> subprocess.Popen:
    return ns.spawn(
        *argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kwargs
    )


@pytest.fixture
def served(lab, agent, tmp_path):
    """(web, client): redis, nginx, iperf3 and dnsmasq on web, protected, four ports open."""
    _host, (web, client) = lab.pods()
    quiet(
        web,
        "redis-server",
        "--bind",
        "*",
        "-::*",
        "--protected-mode",
        "no",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    )
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; user root; pid {tmp_path}/pid; error_log /dev/null;\n"
        "events {}\nhttp { access_log off; server { listen 80; listen [::]:80;\n"
        f"root {tmp_path}; }} }}\n"
    )
    (tmp_path / "page").write_text("x" * 3_000_000)
    quiet(web, "nginx", "-c", str(conf), "-p", str(tmp_path))
    quiet(web, "iperf3", "-s")
    addresses = ",".join(IPS.values())
    quiet(
        web,
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
        f"--host-record={NAME},{addresses}",
    )
    agent.attach(web, "web")
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\n"
        "rules: [{id: 1, from: any, to: web, action: allow,\n"
        "  ports: [tcp/80, tcp/6379, tcp/5201, udp/53]}]\n"
    )
    for port in (80, 6379, 5201):
        wait_for(lambda port=port: traffic.tcp_try(client, IPS["ipv4"], port) == "open")
    return web, client


@pytest.mark.parametrize("ip", IPS.values(), ids=IPS)
def test_servers_and_clients_do_not_notice(served, agent, ip):
    _web, client = served
    pong = client.run("redis-cli", "-h", ip, "ping").stdout.strip()
    assert pong == "PONG"
    big = "v" * 300_000
    client.run("redis-cli", "-h", ip, "-x", "set", "key", input=big)
    assert client.run("redis-cli", "-h", ip, "get", "key").stdout.strip() == big
    size = client.run(
        *(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
            "--max-time",
            "10",
        ),
        f"http://{bracketed(ip)}/page",
    ).stdout
    assert size == "3000000"
    kind = "AAAA" if ":" in ip else "A"
    found = client.run(
        "dig", f"@{ip}", "+short", "+tries=2", "+time=1", NAME, kind
    ).stdout.strip()
    assert found == ip
    report = json.loads(client.run("iperf3", "-c", ip, "-t", "1", "-J", "-R").stdout)
    assert report["end"]["sum_received"]["bytes"] > 1_000_000
    counts = agent.counts("web")
    assert counts["flow_allow"] > 20 * counts["to_engine"]
    assert counts.get("default_deny", 0) == 0


def test_what_is_not_theirs_does_not_pass(served, agent, tmp_path):
    web, client = served
    traffic.tcp_echo(web, IPS["ipv4"], 8080)
    assert traffic.tcp_try(client, IPS["ipv4"], 8080) == "silence"
    asked = client.run(
        *("dig", f"@{IPS['ipv4']}", "+tcp", "+short", "+tries=1", "+time=1", NAME),
        check=False,
    )
    assert asked.returncode != 0
    assert Path(tmp_path, "page").exists()
    assert agent.counts("web")["default_deny"] >= 2
