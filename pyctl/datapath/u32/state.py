"""What the u32 datapath was asked for, on disk: one file for each port, one for each interface.

In: an instance, pairs. Out: the same after a crash. I/O: files in Instance.run_dir, which end with the boot,
as the rules do. A drop rule names no port, and rules that somebody removed name nothing. So the kernel does
not show what was asked for, and drift cannot be found without these files. The files by interface only lead
to a port's file: if that is missing or names another interface, they mean nothing.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Fail, Mode, PortPair, Service


class U32State:
    """The files of one instance. Writing raises SegctlError if the disk refuses."""

    def __init__(self, instance: Instance) -> None:
        self._directory = instance.run_dir / "u32"

    def _file(self, port_id: int) -> Path:
        return self._directory / f"{port_id}.json"

    def _by_end(self, ifindex: int) -> Path:
        return self._directory / f"{ifindex}.end"

    def get(self, port_id: int) -> PortPair | None:
        """Return the port's pair; None for an unknown port or a file of another version."""
        try:
            raw = json.loads(self._file(port_id).read_text())
            given = raw["pair"] | {
                "mode": Mode(raw["pair"]["mode"]),
                "fail": Fail(raw["pair"]["fail"]),
                "addresses": tuple(raw["pair"]["addresses"]),
                "serves": tuple(map(Service, raw["pair"]["serves"])),
                "spare": tuple(raw["pair"].get("spare", ())),
            }
            return PortPair(**given)
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def holder(self, ifindex: int) -> int | None:
        """Return the port that has this interface as an end, or None."""
        try:
            port_id = int(self._by_end(ifindex).read_text())
        except (FileNotFoundError, ValueError):
            return None
        pair = self.get(port_id)
        return port_id if pair and ifindex in _ends(pair) else None

    def holds(self, port_id: int) -> bool:
        """Return whether the port has a file, of any version."""
        return self._file(port_id).exists()

    def port_ids(self) -> list[int]:
        """Return all ports of this datapath."""
        found = (path.stem for path in self._directory.glob("*.json"))
        return sorted(int(stem) for stem in found if stem.isdigit())

    def put(self, pair: PortPair) -> None:
        """Write the port's file; call this before its rules are installed."""
        path = self._file(pair.port_id)
        new = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for end in _ends(pair):
                self._by_end(end).write_text(str(pair.port_id))
            new.write_text(json.dumps({"pair": asdict(pair)}))
            new.replace(path)
        except OSError as error:
            raise SegctlError(
                f"remembering port {pair.port_id}: {error}", errno=error.errno
            ) from error

    def forget(self, port_id: int) -> None:
        """Remove the port's files, after its rules, and the directory if it is empty. Idempotent."""
        pair = self.get(port_id)
        self._file(port_id).unlink(missing_ok=True)
        for end in _ends(pair) if pair else ():
            # It may be another port's by now.
            if self.holder(end) is None:
                self._by_end(end).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def _ends(pair: PortPair) -> tuple[int, int]:
    return pair.vex_ifindex, pair.vin_ifindex
