"""Whether this kernel takes a whole ruleset: tried in namespaces that end with the process.

In: nothing. Out: `missing()`; as a program, the same as one line on stdout. I/O: a child process, in
it unshare and rtnetlink.
It is a program (`python -m pyctl.datapath.u32.probe`), since a process with threads must not leave
its namespaces. The kernel loads the modules that it has, as it would for a workload.
"""

from __future__ import annotations

import subprocess
import sys

from fallback_tc import netlink
from fallback_tc.pair import Pair, Steering
from fallback_tc.plan import guard, ruleset
from fallback_tc.rules import Rule
from pyctl.errors import SegctlError
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import Message, NetlinkError, RawNetlink
from pyctl.platform.probe_scratch import enter_scratch
from pyctl.platform.tc.rule_sets import RuleSets

SECONDS = 150
"""Against a hang alone: an emulated machine that has to load its modules takes most of a minute."""
_PAIR = Pair(
    vex="vex",
    vin="vin",
    bridge="vbr",
    mac="02:00:00:00:00:01",
    ucmac="4e:65:75:56:00:01",
    pref_ex=20002,
    pref_in=20003,
)


def missing() -> str | None:
    """Return why the u32 datapath does not work here; None if it works."""
    argv = [sys.executable, "-m", "pyctl.datapath.u32.probe"]
    try:
        done = subprocess.run(
            argv, capture_output=True, check=False, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"the probe did not end within {SECONDS} s"
    if done.returncode == 0:
        return None
    told = (done.stdout or done.stderr).strip().splitlines()
    return told[-1] if told else "the probe said nothing"


def install() -> None:
    """Install each kind of ruleset in turn. OSError, NetlinkError or SegctlError: it was refused."""
    enter_scratch()
    with RawNetlink() as nl:
        links.add_veth(nl, links.VethEnd(_PAIR.vex), links.VethEnd(_PAIR.vin))
        links.add_veth(nl, links.VethEnd(_PAIR.bridge), links.VethEnd("vth"))
        indexes = {link.name: link.index for link in links.dump(nl)}
    with RuleSets() as tc:
        for device in (_PAIR.vex, _PAIR.vin, _PAIR.bridge):
            tc.add_clsact(indexes[device])
        tc.send("installing the guard", _messages(guard(_PAIR.bridge), indexes))
        for steering in Steering:
            rules = ruleset(_PAIR, steering)
            tc.send(f"installing rules to {steering}", _messages(rules, indexes))
            added = [netlink.delete(rule, indexes.__getitem__) for rule in rules]
            tc.try_each("removing them", [Message(*_parts(one)) for one in added])


def _messages(rules: tuple[Rule, ...], indexes: dict[str, int]) -> list[Message]:
    return [Message(*_parts(netlink.add(rule, indexes.__getitem__))) for rule in rules]


def _parts(one: netlink.Message) -> tuple[int, bytes, int]:
    return one.kind, one.body, one.flags


def main() -> int:
    """Run the probe; return the exit status 0, or 1 after printing why not."""
    try:
        install()
    except SegctlError as error:
        sys.stdout.write(f"{error.tried}\n")
    except (NetlinkError, OSError) as error:
        sys.stdout.write(f"{error}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
