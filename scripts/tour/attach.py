"""The first act: two containers attached, a packet followed on its way, flows decided and denied, and
everything given back as it was."""

from __future__ import annotations

import re
import subprocess
import time

from scripts.tour.boxes import boxes
from scripts.tour.story import (
    Segctl,
    chapter,
    check,
    check_given_back,
    say,
)
from tests.lab.containers.runtimes import BIG_BYTES, Box
from tests.lab.net.netns import Lab
from tests.lab.net.snapshot import seen_inside
from tests.lab.pace import in_time


class Capture:
    """tcpdump on the stations of a packet's way, all at once."""

    def __init__(self, stations: dict[str, list[str]], what: str) -> None:
        self.running = {}
        for station, (namespace, interface) in stations.items():
            self.running[station] = subprocess.Popen(
                [
                    *("nsenter", f"--net={namespace}"),
                    *("tcpdump", "-nnel", "-i", interface, what),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        for process in self.running.values():
            said = process.stderr or ()
            if not any("listening on" in line for line in said):
                raise SystemExit("tcpdump did not start")

    def stop(self) -> dict[str, list[str]]:
        time.sleep(0.3)  # the last packets are on their way from the ring to tcpdump
        for process in self.running.values():
            process.terminate()
        return {
            station: process.communicate(timeout=10)[0].splitlines()
            for station, process in self.running.items()
        }


def macs_of(line: str) -> tuple[str, str]:
    """Source and destination MAC of one tcpdump line."""
    found = re.search(
        r"((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) > ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", line
    )
    return (found[1], found[2]) if found else ("", "")


def copy_mark(ucmac: str) -> str:
    """What a copy has in the place of the UCMAC: the fourth byte is a T, not a V."""
    return ucmac.replace("4e:65:75:56", "4e:65:75:54")


def show_way(segctl: Segctl, web: Box, client: Box) -> None:
    port = segctl.json("show", web.name)["ports"][0]
    enforcer = f"/run/netns/{segctl.instance}"
    stations = {
        "vex": [enforcer, port["vex"]],
        "vbr": [enforcer, "vbr-neuv"],
        "vth": [enforcer, "vth-neuv"],
        "vin": [enforcer, port["vin"]],
        "eth0": [f"/proc/{web.pid}/ns/net", port["interface"]],
    }
    capture = Capture(stations, f"tcp port 80 and host {web.ip}")
    done = client.run("/bin/curl", "-s", "--max-time", "5", f"http://{web.ip}/")
    check(done.stdout == "hello from nginx\n", "curl through segctl works", done.stderr)
    seen = capture.stop()

    def macs(station: str, text: str) -> list[tuple[str, str]]:
        return [macs_of(line) for line in seen[station] if text in line]

    # In discover frames go on at once, and the engine gets copies, marked as such; of the answer none, where
    # the SYN's verdict was faster.
    mac, mark = port["mac"], copy_mark(port["ucmac"])
    theirs = copy_mark(segctl.json("show", client.name)["ports"][0]["ucmac"])
    syn, answer = f"> {web.ip}.80: Flags [S]", f" {web.ip}.80 > "
    for station in ("vbr", "vth"):
        check(
            any(source == theirs for source, _ in macs(station, syn)),
            f"{station}: a copy of the SYN of {client.name}, its mark {theirs} as source",
        )
    check(
        {to for _, to in macs("vex", syn)} == {mac},
        f"vex: it arrives at {web.name} with the workload's MAC {mac}",
    )
    for station in ("vbr", "vth"):
        check(
            any(to == mark for _, to in macs(station, syn)),
            f"{station}: a copy goes to the engine with {mark} as destination",
        )
    check(
        {to for _, to in macs("eth0", syn)} == {mac},
        "eth0: it is in the container, with its own MAC again",
    )
    check(
        {source for source, _ in macs("vin", answer)} == {mac},
        f"vin: the answer leaves the container, source MAC {mac}",
    )
    outside = [line for station in ("vex", "eth0") for line in seen[station]]
    check(
        not any("4e:65:75:5" in line for line in outside),
        "no mark is ever seen outside the enforcer",
    )


def show_bypass(segctl: Segctl, web: Box, client: Box) -> None:
    before = segctl.agent.counts(web.name)
    done = client.run(
        *("/bin/curl", "-s", "-o", "/dev/null", "--max-time", "20"),
        *("-w", "%{size_download}", f"http://{web.ip}/big"),
    )
    check(
        done.stdout == str(BIG_BYTES),
        f"a download of {BIG_BYTES >> 20} MiB is complete",
    )
    after = segctl.agent.counts(web.name)
    engine = after.get("to_engine", 0) - before.get("to_engine", 0)
    kernel = after.get("flow_allow", 0) - before.get("flow_allow", 0)
    say(
        f"packets judged by the engine: {engine}; carried by the kernel alone: {kernel}"
    )
    check(
        kernel > 20 * engine,
        "the kernel carries a decided flow, the engine sees its beginning only",
    )


def slow_download(segctl: Segctl, web: Box, client: Box) -> subprocess.Popen[str]:
    """A download that takes twenty seconds, its flow already in the map.

    The server is the slow side: a slow reader learns of a reset when its buffer is read empty.
    """
    download = client.start(
        *("/bin/curl", "-s", "-S", "-o", "/dev/null"),
        *("--max-time", "60", f"http://{web.ip}/slow"),
    )

    def known() -> bool:
        return str(segctl.json("dump-maps", "seg_flows4")).count(web.ip) >= 1

    check(in_time(known), "a slow download is under way")
    return download


def show_denial(
    segctl: Segctl,
    web: Box,
    client: Box,
    download: subprocess.Popen[str],
    policy: str,
) -> None:
    say("the policy says: in protect, nobody may reach web")
    started = time.monotonic()
    print(segctl.run("policy", "apply", "-f", "-", text=policy).rstrip())
    error = download.communicate(timeout=20)[1].strip()
    took = time.monotonic() - started
    check(
        download.returncode != 0,
        f"the open connection was cut after {took:.2f} s: {error}",
    )
    check(took < 5, "at once, not by a time-out")
    done = client.run("/bin/curl", "-s", "-S", "--max-time", "2", f"http://{web.ip}/")
    check(done.returncode != 0, f"a new connection is denied: {done.stderr.strip()}")

    def told() -> bool:
        return "policy_deny" in segctl.run("events", show=False)

    check(in_time(told), "and the events say why:")
    print(segctl.run("events", "--limit", "4").rstrip())


def is_greeted(client: Box, web: Box) -> bool:
    done = client.run("/bin/curl", "-s", "--max-time", "1", f"http://{web.ip}/")
    return done.stdout.startswith("hello")


def first_act() -> None:
    with Lab("segdemo") as lab:
        chapter("Two containers")
        kind, environment, (web, client) = boxes(lab)
        say(
            f"{kind}: {web.name} (nginx, {web.ip}) and {client.name} (curl, {client.ip})"
        )
        check(
            in_time(lambda: is_greeted(client, web)),
            "curl works, nothing attached yet",
        )
        before = {box.name: seen_inside(box.pid) for box in (web, client)}

        segctl = Segctl(lab, environment)
        chapter("Attach both")
        for box in (web, client):
            print(segctl.run("attach", *box.target).rstrip())
        print(segctl.run("list").rstrip())

        chapter("A packet's way")
        show_way(segctl, web, client)

        chapter("Decided flows bypass the engine")
        show_bypass(segctl, web, client)

        chapter("The BPF maps")
        download = slow_download(segctl, web, client)
        print(segctl.run("dump-maps", "seg_reinject").rstrip())
        print(segctl.run("dump-maps", "seg_flows4").rstrip())

        chapter("Deny")
        policy = "\n".join(
            [
                "apiVersion: segctl/v1",
                f"groups: {{web: {{selector: {{name: {web.name}}}}}}}",
                "modes: {web: protect}",
                "options: {deny: reset}",
                "rules:",
                "  - {id: 1, from: any, to: web, ports: [tcp/80], action: deny, comment: demo}",
            ]
        )
        show_denial(segctl, web, client, download, policy)

        chapter("Detach")
        for box in (web, client):
            print(
                segctl.run(
                    "detach",
                    "--container" if "--container" in box.target else "--pid",
                    box.target[1],
                ).rstrip()
            )
        check(in_time(lambda: is_greeted(client, web)), "curl works again")
        for box in (web, client):
            check_given_back(box, before[box.name])
