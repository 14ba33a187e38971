"""How the demo's acts tell what they do: each command line as a user types it, its output, and
checks that end the demo with exit code 1 where something is not as it should be."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from tests.lab.containers.runtimes import Box
from tests.lab.net.netns import Lab
from tests.lab.net.snapshot import seen_inside
from tests.lab.processes import undisturbed
from tests.lab.segctl.agent import AgentProcess

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

    def __init__(self, lab: Lab, environment: Mapping[str, str]) -> None:
        """It runs in the lab's folder: names of files in its arguments are of this folder."""
        self.agent = AgentProcess(
            lab.tag,
            lab.folder / "agent.log",
            folder=lab.folder,
            environment=environment,
        )
        self.instance = lab.tag
        lab.undo.callback(self._end_agent)

    def _end_agent(self) -> None:
        self.run("agent", "stop", "--detach", show=False, expect=None)
        self.agent.remove()

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
        with undisturbed():
            done = self.agent.cli(*argv, check=False, text=text)
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
        with undisturbed():
            self.agent.start(*options)


def check_given_back(box: Box, before: dict[str, str]) -> None:
    """The container's network is what it was, as seen from inside."""
    now = seen_inside(box.pid)
    differing = [part for part in now if now[part] != before[part]]
    detail = "\n".join(
        f"{part} before:\n{before[part]}\nafter:\n{now[part]}" for part in differing
    )
    check(not differing, f"{box.name}: {', '.join(now)} are exactly as before", detail)
