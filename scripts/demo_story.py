"""How the demo's acts tell what they do: each command line as a user types it, its output, and
checks that end the demo with exit code 1 where something is not as it should be."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from demo_commands import background, call, must
from demo_lab import Box, Lab

SEGCTL = str(Path(__file__).resolve().parent.parent / ".venv/bin/segctl")
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def chapter(title: str) -> None:
    print(f"\n{paint('1;36', title)}", flush=True)


def check(held: object, what: str, detail: str = "") -> None:
    mark = paint("32", "ok  ") if held else paint("1;31", "FAIL")
    print(f"  {mark} {what}", flush=True)
    if not held:
        if detail:
            print(detail)
        raise SystemExit(1)


def typed(*argv: str, rest: str = "") -> None:
    """The command line, as a user types it."""
    print(paint("2", f"  $ {shlex.join(argv)}{rest}"), flush=True)


class Segctl:
    """The command line, as a user has it; its agent is ended with the lab."""

    def __init__(self, lab: Lab) -> None:
        self.instance = lab.tag
        self.folder = lab.folder
        """Where it runs: names of files in its arguments are of this folder."""
        self.environment = {
            **os.environ,
            **lab.environment,
            "SEGCTL_INSTANCE": self.instance,
        }
        self._processes = contextlib.ExitStack()
        for directory in ("/run", "/var/lib"):
            lab.undo.callback(
                shutil.rmtree, f"{directory}/{self.instance}", ignore_errors=True
            )
        lab.undo.callback(self._end_agent)

    def _end_agent(self) -> None:
        self.run("agent", "stop", "--detach", show=False, expect=None)
        self._processes.close()

    def run(
        self,
        *argv: str,
        show: bool = True,
        text: str | None = None,
        expect: int | None = 0,
    ) -> str:
        """Its output; the demo ends where the exit code is not the expected one (None: any)."""
        if show:
            typed("segctl", *argv)
        done = call(
            *(SEGCTL, *argv),
            text=text,
            folder=self.folder,
            environment=self.environment,
        )
        if expect is not None and done.returncode != expect:
            raise SystemExit(
                f"segctl {argv[0]} ended with {done.returncode}, not {expect}: {done.stderr}"
            )
        return done.stdout

    def show(self, *argv: str, expect: int = 0) -> str:
        """Run it and print what it says."""
        out = self.run(*argv, expect=expect)
        print(out.rstrip(), flush=True)
        return out

    def show_end(self, *argv: str, lines: int) -> None:
        """Run it and print the last lines of what it says."""
        typed("segctl", *argv, rest=f" | tail -n {lines}")
        print("\n".join(self.run(*argv, show=False).splitlines()[-lines:]), flush=True)

    def json(self, *argv: str, expect: int = 0) -> dict[str, Any]:
        """What it says, decoded; nothing is printed."""
        out = self.run(*argv, "-o", "json", show=False, expect=expect)
        told: dict[str, Any] = json.loads(out)
        return told

    def start_agent(self, *options: str) -> None:
        """`segctl agent run` in the background; its log is in the lab's folder."""
        typed("segctl", "agent", "run", *options, rest=" 2>agent.log &")
        background(
            [SEGCTL, "agent", "run", *options],
            self._processes,
            self.folder / "agent.log",
            self.folder,
            self.environment,
        )

    def counters(self, box: Box) -> dict[str, int]:
        """Packets by reason, over the workload's ports."""
        total: dict[str, int] = {}
        for port in self.json("show", box.name)["ports"]:
            for row in port["counters"]:
                total[row["reason"]] = total.get(row["reason"], 0) + row["packets"]
        return total


def network_state(box: Box) -> dict[str, str]:
    """Links, addresses, routes, rules and interface sysctls, seen from inside."""
    enter = ["nsenter", f"--net=/proc/{box.pid}/ns/net"]

    def out(*argv: str) -> str:
        return must(*enter, *argv).stdout

    # Lifetimes tick and neighbours age by themselves; statistics are not asked for.
    sysctls = "cd /proc/sys/net && grep -r . ipv4/conf ipv6/conf ipv4/neigh ipv6/neigh 2>/dev/null || true"
    return {
        "links": out("ip", "-d", "link"),
        "addresses": out("ip", "addr"),
        "routes": out("ip", "route", "show", "table", "all"),
        "ipv6 routes": out("ip", "-6", "route", "show", "table", "all"),
        "rules": out("ip", "rule") + out("ip", "-6", "rule"),
        "neighbours": out("ip", "neigh", "show", "nud", "permanent"),
        "qdiscs": out("tc", "qdisc"),
        "sysctls": "\n".join(sorted(out("sh", "-c", sysctls).splitlines())),
    }


def check_given_back(box: Box, before: dict[str, str]) -> None:
    """The container's network is what it was, as seen from inside."""
    now = network_state(box)
    differing = [part for part in now if now[part] != before[part]]
    detail = "\n".join(
        f"{part} before:\n{before[part]}\nafter:\n{now[part]}" for part in differing
    )
    check(not differing, f"{box.name}: {', '.join(now)} are exactly as before", detail)
