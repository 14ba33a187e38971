"""A real agent: an instance of its own, an engine of its own, and nothing of either at the end.

Depends on: root, bcc, the built extension.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyctl.api.client import AgentClient
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.platform import netns
from tests.lab.net.netns import Netns
from tests.lab.pace import LabError, patient, wait_for
from tests.lab.processes import call, end, must

START_S = 180
"""An emulated machine takes half a minute to compile the programs, and more beside others."""
SEGCTL = str(Path(sys.executable).with_name("segctl"))


# A seccomp filter as a container runtime sets it: EPERM for bpf(2), everything else allowed.
_REFUSE_BPF = """
import ctypes, os, struct, sys
number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
raw = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(raw)))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


class AgentProcess:
    """`segctl agent run` of one instance, and a client to it."""

    def __init__(
        self,
        name: str,
        log: Path,
        *always: str,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`always`: options of every start. `folder`: where it runs, and its command line."""
        self.instance = Instance(name)
        self.client = AgentClient(self.instance, timeout=30)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log
        self.always = always
        self.folder = folder
        self.environment = {
            **os.environ,
            **(environment or {}),
            "SEGCTL_INSTANCE": name,
        }

    def _launch(self, *argv: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                argv,
                stderr=log,
                stdout=log,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )

    def start(self, *options: str, bpf: bool = True) -> None:
        """Start and wait until it answers; without `bpf`, bpf(2) is refused to all of it."""
        refused = [] if bpf else [sys.executable, "-c", _REFUSE_BPF, sys.executable]
        argv = [*refused, SEGCTL, "agent", "run", *self.always, *options]
        self.process = process = self._launch(*argv)
        wait_for(lambda: self.answers() or process.poll() is not None, START_S)
        if process.poll() is not None:
            raise LabError(f"`segctl agent run` ended: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-8000:].strip()

    def start_and_end_after(self, seconds: float) -> None:
        """SIGTERM at some moment of its start; returns when it has ended."""
        process = self._launch(SEGCTL, "agent", "run")
        time.sleep(seconds)  # The moment is what is tested.
        process.terminate()
        process.wait(timeout=20)

    def answers(self) -> bool:
        """Whether an agent of the instance answers."""
        try:
            self.client.status()
        except SegctlError:
            return False
        return True

    def kill(self) -> None:
        """kill -9, as bad as it comes; the engine lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> None:
        """SIGTERM, and wait for the end. Idempotent."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)

    def cli(
        self, *argv: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The command line against this agent; `text` is its stdin."""
        run = must if check else call
        return run(SEGCTL, *argv, cwd=self.folder, env=self.environment, input=text)

    def attach(self, pod: Netns, name: str, **options: Any) -> dict[str, Any]:
        """Attach a namespace of the lab through the API."""
        return self.client.attach(pid=pod.pid, name=name, **options)

    def policy(self, text: str) -> dict[str, Any]:
        """Apply a policy, indentation and header taken care of."""
        return self.client.apply_policy("apiVersion: segctl/v1\n" + text)

    def counts(self, name: str) -> dict[str, int]:
        """Packets by reason over all ports of a workload."""
        total: dict[str, int] = {}
        for port in self.client.workload(name)["ports"]:
            for row in port["counters"]:
                total[row["reason"]] = total.get(row["reason"], 0) + row["packets"]
        return total

    def messages(self, words: str = "") -> list[str]:
        """Return what its events say, of those that have these words in them."""
        events = self.client.events(limit=500)["events"]
        return [one["message"] for one in events if words in one["message"]]

    def names(self) -> list[str]:
        """Return the names of the workloads that are attached."""
        return [one["name"] for one in self.client.workloads()["workloads"]]

    def engine_pid(self) -> int:
        """Of the engine in charge now; 0 while one is being replaced."""
        return int(self.client.status()["engine"]["pid"] or 0)

    def enforcer(self, *argv: str) -> str:
        """What a command prints that stands in the enforcer's namespace."""
        return must("nsenter", f"--net={self.instance.netns}", *argv).stdout

    def forget_this_boot(self) -> None:
        """End the engine and take away all that a reboot would."""
        for pid in _pids_of("pyctl.engine", self.instance.name):
            os.kill(pid, signal.SIGKILL)
        netns.remove(self.instance.netns)
        for folder in (self.instance.run_dir, self.instance.pin_root):
            shutil.rmtree(folder)

    def shut_down(self) -> None:
        """Detach all and end agent and engine; LabError where the agent does not end."""
        pid = int(self.client.status()["pid"])
        with os.fdopen(os.pidfd_open(pid)) as process:
            self.client.stop(detach=True)
            if not select.select([process], [], [], patient(20))[0]:
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.5)
                raise LabError(f"the agent did not end: {self.last_words()}")

    def remove(self) -> list[str]:
        """Give back, and sweep what should not have been left, which is returned. Idempotent."""
        deadline = time.monotonic() + patient(20)
        while self.process and self.process.poll() is None:
            # It may be starting still: an agent that is killed then leaves what it has made.
            try:
                self.shut_down()
            except SegctlError:
                time.sleep(0.1)
            except LabError:
                break
            if time.monotonic() > deadline:
                break
        if self.process:
            end(self.process)
        return sweep(self.instance)

    def remains(self) -> dict[str, Any]:
        """What is left of the instance on this host; empty dicts and lists where nothing is."""
        instance = self.instance
        links = []
        if instance.netns.exists():
            found = json.loads(self.enforcer("ip", "-j", "link"))
            links = [
                link["ifname"] for link in found if link["ifname"][:3] in ("vex", "vin")
            ]
        return {
            "links": links,
            "workloads": sorted(path.name for path in instance.workload_dir.glob("*")),
            "journal": sorted(path.name for path in instance.journal_dir.glob("*")),
        }


def sweep(instance: Instance) -> list[str]:
    """Take away all that an instance has on this host; give what there was of its engine, its
    namespace and its pins."""
    found = []
    for pid in _pids_of("pyctl.engine", instance.name):
        found.append(f"engine process {pid}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if instance.netns.exists():
        found.append(f"network namespace {instance.name}")
        netns.remove(instance.netns)
    if instance.pin_root.exists():
        found.append(f"pins under {instance.pin_root}")
    for folder in (instance.pin_root, instance.run_dir, instance.state_dir):
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _pids_of(*words: str) -> list[int]:
    """Of the processes whose command line has all of these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_text(errors="replace")
            if all(word in line for word in words):
                found.append(int(path.parent.name))
    return found
