"""A workload with very many addresses costs itself: others are quarantined meanwhile, and what it makes so for itself
is not spliced unasked."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyctl.intercept.survey.costs import UNASKED_ADDRESSES_MAX
from pyctl.platform.process import netns_file
from tests.lab.net.netns import Netns
from tests.lab.pace import patient, wait_for

MANY = {4: 4000, 6: 800}
"""By IP version. An IPv6 address costs the kernel many times as much, and more the more there are."""
AT_ONCE_S = 1.0


def give(pod: Netns, device: str, number: int, version: int = 4) -> None:
    """So many addresses, of two bytes counted up."""
    texts = (
        (f"198.18.{n // 250}.{n % 250 + 1}/32" for n in range(number))
        if version == 4
        else (f"2001:db8:9::{n + 1:x}/128" for n in range(number))
    )
    nodad = "" if version == 4 else " nodad"
    pod.batch(*(f"addr add {text} dev {device}{nodad}" for text in texts))


def number(pod: Netns, device: str) -> int:
    (link,) = pod.ip("addr", "show", "dev", device)
    return len(link["addr_info"])


@pytest.mark.parametrize("version", [4, 6])
def test_quarantine_of_another_does_not_wait_for_its_splice(lab, agent, version):
    _host, (web, other) = lab.pods()
    give(web, "eth0", MANY[version], version)
    before = number(web, "eth0")
    agent.attach(other, "other")
    # At once in the midst, however fast the host is: no answer may take longer than one step.
    waits = []
    with ThreadPoolExecutor(1) as pool:
        for splice in (
            lambda: agent.attach(web, "web", force=True),
            lambda: agent.client.detach(workload="web"),
        ):
            running = pool.submit(splice)
            while not running.done():
                for mode in ("quarantine", "auto"):
                    asked = time.monotonic()
                    agent.client.set_mode("other", mode)
                    waits.append(time.monotonic() - asked)
                time.sleep(0.05)
            running.result()
            assert number(web, "eth0") == before
    assert max(waits) < patient(AT_ONCE_S), waits


def test_what_it_makes_for_itself_with_too_many_is_named_and_not_spliced(lab, agent):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    # Without a name: a named one would count as one of the host's.
    inner = web.spawn("unshare", "-n", "sleep", "infinity").pid
    wait_for(lambda: netns_file(inner)[1] != netns_file(web.pid)[1])
    for name, many in (("many", UNASKED_ADDRESSES_MAX + 1), ("some", 9)):
        # It leads nowhere, and is nobody's business, until it has them all.
        web.batch(
            f"link add {name} type veth peer name far-{name}",
            f"link set {name} up",
        )
        give(web, name, many)
        web.run("ip", "link", "set", f"far-{name}", "netns", str(inner))
        far = ("ip", "link", "set", f"far-{name}", "up")
        web.run("nsenter", f"--net=/proc/{inner}/ns/net", *far)
    wait_for(lambda: "some" in ports(agent))
    assert ports(agent) == ["eth0", "some"]
    (beside,) = agent.client.workload("web")["uninspected"]
    assert beside["interface"] == "many"
    why = f"more than {UNASKED_ADDRESSES_MAX} addresses"
    assert why in beside["reason"]
    told = [one for one in agent.messages() if why in one]
    assert len(told) == 1
    assert "many NOT INSPECTED" in agent.cli("list").stdout
    done = agent.cli("mode", "web", "quarantine", check=False)
    assert done.returncode == 1
    assert why in done.stderr
    (link,) = web.ip("link", "show", "many")
    assert "UP" not in link["flags"]
    agent.cli("mode", "web", "auto")
    agent.cli("attach", "--pid", str(web.pid), "--interface", "many", "--force")
    assert ports(agent) == ["eth0", "many", "some"]
    assert agent.client.workload("web")["uninspected"] == []


def ports(agent) -> list[str]:
    return sorted(one["interface"] for one in agent.client.workload("web")["ports"])
