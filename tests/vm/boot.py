"""One command in one guest: boot, follow, judge how it ended.

In: an unpacked kernel, argv, a deadline. Out: Ended; the command's stdout and stderr come out here as
they are written, byte for byte, or line by line with a name in front. I/O: virtme-ng and QEMU; a folder of the run in .cache/vm.

The guest writes output and exit code to files on the shared root, not to a virtual serial line:
streams stay apart, exit code 255 is no crash, and what was written before a crash is kept.
An oops is a panic, a panic ends QEMU (no reboot), and what still runs at the deadline is ended.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.lab.pace import UnavailableError
from tests.vm.kernels import ROOT, Unpacked

RUNS = ROOT / ".cache/vm"
FOLLOW_S = 0.1
ENDS_WITHIN_S = 30.0
"""A guest, when its command has: one that hangs as it goes down is not waited for to the deadline."""
LEFT_OVER_S = 86400.0
"""The folder of a run that nobody cleared away, as whoever ran it was killed."""
KVM_DEADLINE_S = 8.0
MEMORY = "3G"
OPTIONS = (
    # Warnings and worse on the console, over virtme's loglevel=1.
    "loglevel=5",
    "oops=panic",
    # An emulated machine has no secrets: a fifth of its time back.
    "mitigations=off",
    # Else the guest finds its counter unsteady and reads the HPET, an exit for each time stamp.
    "tsc=reliable",
    "clocksource=tsc",
)
PANIC = b"Kernel panic"
RUNNING: set[subprocess.Popen[bytes]] = set()
"""Guests that are sessions of their own: nobody else's signal reaches them."""
ENDING = threading.Event()
"""No guest lives on, and none is started, from here on."""


class Named:
    """A stream of which each line is begun with a name: guests that run at a time are told apart."""

    def __init__(self, name: str, target: BinaryIO) -> None:
        self._head = f"[{name}] ".encode()
        self._target = target
        self._rest = b""

    def write(self, text: bytes) -> None:
        """Whole lines only; the rest waits."""
        *lines, self._rest = (self._rest + text).split(b"\n")
        self._target.write(b"".join(self._head + line + b"\n" for line in lines))

    def flush(self) -> None:
        self._target.flush()

    def close(self) -> None:
        """A last line without an end gets one."""
        if self._rest:
            self.write(b"\n")
            self.flush()


Sink = BinaryIO | Named


@dataclass(frozen=True)
class Ended:
    """How a run ended: the command's exit code, or why there is none."""

    code: int | None
    fault: str
    console: str
    started_s: float | None
    """From power-on until the command started; None: it never did."""
    seconds: float


def emulator() -> str:
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise UnavailableError("no qemu-system-x86_64 (Debian: qemu-system-x86)")
    return found


def kvm_works(kernel: Unpacked) -> bool:
    """Whether a guest under KVM gets as far as to miss its root file system. Known until reboot."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    known = RUNS / "kvm"
    with contextlib.suppress(OSError):
        seen_in, _, verdict = known.read_text(encoding="ascii").partition(" ")
        if seen_in == boot_id.strip():
            return verdict == "yes"
    argv = [emulator(), "-machine", "q35,accel=kvm", "-cpu", "host", "-m", "512M"]
    argv += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    argv += ["-kernel", str(kernel.image), "-append", "console=ttyS0 panic=-1"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as guest:
        RUNNING.add(guest)
        try:
            said, _ = guest.communicate(timeout=KVM_DEADLINE_S)
        except subprocess.TimeoutExpired:
            said = b""
        finally:
            end(guest)
    works = PANIC in said
    RUNS.mkdir(parents=True, exist_ok=True)
    known.write_text(f"{boot_id.strip()} {'yes' if works else 'no'}", encoding="ascii")
    return works


def virtme(kernel: Unpacked, folder: Path, cpus: int) -> list[str]:
    """The command that boots it. virtme-run is what vng calls; it takes any path of an image."""
    argv = [sys.executable, "-m", "virtme.commands.run", "--mods=auto", "--rw"]
    argv += ["--kimg", str(kernel.image), "--qemu-bin", emulator(), "--force-9p"]
    argv += ["--memory", MEMORY, "--cpus", str(cpus), "--user", "root"]
    # Shared by itself as well: under the host's /tmp, the guest could not see it else.
    argv += [f"--rwdir={ROOT}", "--show-boot-console"]
    if not kvm_works(kernel):
        argv.append("--disable-kvm")
    for option in OPTIONS:
        argv += ["--kopt", option]
    argv += [
        "--script-sh",
        shlex.join(["sh", f"{ROOT}/tests/vm/guest", str(folder), str(ROOT)]),
    ]
    argv += ["--qemu-opts", "-fsdev"]
    argv += ["local,id=segctl-fast,path=/,security_model=none,multidevs=remap"]
    return [*argv, "-device", "virtio-9p-pci,fsdev=segctl-fast,mount_tag=segctl-fast"]


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    RUNS.mkdir(parents=True, exist_ok=True)
    for old in RUNS.glob("run-*"):
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < time.time() - LEFT_OVER_S:
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=RUNS))
    for stream in ("stdout", "stderr"):
        (folder / stream).touch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(argv: list[str], environment: dict[str, str]) -> str:
    """The guest's script: here, with these variables, argv."""
    lines = [f"cd {shlex.quote(str(Path.cwd()))} || exit 125"]
    lines += [
        f"export {name}={shlex.quote(value)}" for name, value in environment.items()
    ]
    return "\n".join([*lines, f"exec {shlex.join(argv)}", ""])


def boot(
    kernel: Unpacked,
    argv: list[str],
    deadline_s: float,
    environment: dict[str, str] | None = None,
    name: str = "",
    cpus: int = 2,
) -> Ended:
    """Run argv in a guest, from this folder, as root. UnavailableError: no guest can be started.

    A name is put before each line of what the command writes.
    """
    with run_folder() as folder, contextlib.ExitStack() as stack:
        (folder / "command").write_text(
            command(argv, environment or {}), encoding="utf-8"
        )
        console = folder / "console"
        start = virtme(kernel, folder, cpus)
        begun = time.monotonic()
        with console.open("wb") as log:
            guest = subprocess.Popen(
                start,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        RUNNING.add(guest)
        stack.callback(end, guest)
        if ENDING.is_set():
            end(guest)
        pairs: list[tuple[BinaryIO, Sink]] = []
        for file, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            source = (folder / file).open("rb")
            target = stream.buffer
            sink: Sink = target
            if name:
                sink = stack.enter_context(contextlib.closing(Named(name, target)))
            pairs.append((stack.enter_context(source), sink))
        started, done = None, False
        last = begun + deadline_s
        while guest.poll() is None and time.monotonic() < last:
            if started is None and (folder / "started").exists():
                started = time.monotonic() - begun
            if not done and status(folder) is not None:
                done, last = True, min(last, time.monotonic() + ENDS_WITHIN_S)
            hand_through(pairs)
            time.sleep(FOLLOW_S)
        hung = guest.poll() is None
        end(guest)
        hand_through(pairs)
        if started is None and (folder / "started").exists():
            started = time.monotonic() - begun
        text = console.read_text(encoding="utf-8", errors="replace")
        code = status(folder)
        return Ended(
            code=code,
            fault=""
            if code is not None
            else fault(text, started, deadline_s if hung else None),
            console=text,
            started_s=started,
            seconds=time.monotonic() - begun,
        )


def status(folder: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "status").read_text(encoding="ascii"))
    return None


def fault(console: str, started: float | None, deadline_s: float | None) -> str:
    """Why the command has no exit code, in one line."""
    when = "before the command started" if started is None else "while the command ran"
    if PANIC.decode() in console:
        return f"the guest's kernel panicked {when}"
    if deadline_s is not None:
        return f"the guest hung, or was too slow: ended at its deadline of {deadline_s:.0f} s, {when}"
    return f"the guest ended {when}"


def hand_through(pairs: list[tuple[BinaryIO, Sink]]) -> None:
    for source, target in pairs:
        if text := source.read():
            target.write(text)
            target.flush()


def end(guest: subprocess.Popen[bytes]) -> None:
    """virtme and its QEMU: they are a session of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guest.pid, signal.SIGKILL)
    guest.wait()
    RUNNING.discard(guest)


def end_all() -> None:
    """Whoever ends us must not leave guests behind, which turn for ever; nor one that another thread is
    about to start.
    """
    ENDING.set()
    for guest in tuple(RUNNING):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(guest.pid, signal.SIGKILL)
