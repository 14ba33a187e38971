"""The names of everything that one segctl instance owns on a host.

SEGCTL_INSTANCE names the netns and the directories at once, so that a second agent (or a test)
stands beside a live one without touching it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pyctl.errors import UsageError
from pyctl.model.worker import Worker

_VALID = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Instance:
    """One segctl instance; `name` is lower case letters, digits and dashes."""

    name: str = "segctl"

    def __post_init__(self) -> None:
        if not _VALID.fullmatch(self.name):
            raise UsageError(
                f"SEGCTL_INSTANCE is {self.name!r}",
                advice="use a lower case letter, then up to 30 letters, digits and dashes",
            )

    @classmethod
    def from_environment(cls) -> Instance:
        """Return the instance that SEGCTL_INSTANCE names; raise UsageError for an invalid name."""
        return cls(os.environ.get("SEGCTL_INSTANCE", "segctl"))

    @property
    def netns(self) -> Path:
        """Return the path where the enforcer's network namespace is bound."""
        return Path("/run/netns") / self.name

    @property
    def run_dir(self) -> Path:
        """Return the directory of sockets and of state that survives a process but not a reboot."""
        return Path("/run") / self.name

    @property
    def state_dir(self) -> Path:
        """Return the directory of state that survives a reboot."""
        return Path("/var/lib") / self.name

    @property
    def history_file(self) -> Path:
        """Return the path of the database of flows and events."""
        return self.state_dir / "history.db"

    @property
    def config_file(self) -> Path:
        """Return the path of the agent's configuration, which need not exist."""
        return Path("/etc") / self.name / "agent.yaml"

    @property
    def pin_root(self) -> Path:
        """Return the parent of the pins' directory, which is named by the ABI's hash."""
        return Path("/sys/fs/bpf") / self.name

    @property
    def api_socket(self) -> Path:
        """Return the path of the agent's HTTP socket."""
        return self.run_dir / "agent.sock"

    @property
    def lock_file(self) -> Path:
        """Return the path of the file that the agent keeps locked while it lives."""
        return self.run_dir / "agent.lock"

    def engine_file(self, worker: Worker, suffix: str) -> Path:
        """Return the path of an engine's control socket (`sock`), its lock, or its log."""
        return self.run_dir / worker.file(suffix)

    @property
    def journal_dir(self) -> Path:
        """Return the directory of the journals of unfinished splices."""
        return self.run_dir / "journal"

    @property
    def workload_dir(self) -> Path:
        """Return the directory that holds one JSON file for each attached workload."""
        return self.run_dir / "workloads"

    @property
    def log_file(self) -> Path:
        """Return the path of the log of an agent that runs in the background."""
        return self.run_dir / "agent.log"
