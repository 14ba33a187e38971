"""Run a command, or the tests chosen for it, on another kernel in an emulated machine.

The guest has this machine's files (9p, read and write), a /tmp, /run, /var/cache and /var/log of its
own, its kernel's modules, and no network but lo. The command runs as root in the current folder; its
stdout, stderr and exit code are handed through.

Exit codes besides the command's: 124 the guest hung, or was too slow, and was ended at the deadline; 125 it panicked,
ended by itself or could not be started; each with its console on stderr. --suite: 1 where anything
failed, 125 where a kernel could not be run at all.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.lab.pace import UnavailableError
from tests.vm import boot
from tests.vm import kernels as vm_kernels
from tests.vm.kernels import Kernel

HUNG, NO_GUEST = 124, 125
CONSOLE_LINES = 60
GETTING_READY = threading.Lock()
"""apt takes one at a time, and what the first finds out about KVM holds for the next."""
PYTEST = (
    "./scripts/sandbox",
    ".venv/bin/python",
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    # Plugins that the chosen tests do not use: seconds of imports where emulated.
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:anyio",
    "-q",
)
COMMAND_CPUS, SUITE_CPUS = 2, 1
"""Of a guest. The suite's run at a time, and with two CPUs each they took 2.5 times as long on two; and
an emulated one may stumble over code that another patches just then: 6.12 panicked so."""
SLOWNESS = ("SEGCTL_TEST_SLOWNESS", "5")
"""What tests/lab/pace.py stretches deadlines by, in a guest that is emulated."""
HANDED_ON = (
    SLOWNESS[0],
    "CI",
    "TERM",
    "COLUMNS",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
)


def say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run_one(
    kernel: Kernel, argv: list[str], deadline_s: float, cpus: int, name: str = ""
) -> tuple[int, str]:
    """Exit code, and how it went in one line. A name goes before each line of the command's."""
    begun = time.monotonic()
    try:
        with GETTING_READY:
            image = vm_kernels.ready(kernel)
            emulated = not boot.kvm_works(image)
        fetched = time.monotonic() - begun
        handed = {word: os.environ[word] for word in HANDED_ON if word in os.environ}
        if emulated:
            handed.setdefault(*SLOWNESS)
        ended = boot.boot(image, argv, deadline_s, handed, name, cpus)
    except UnavailableError as error:
        say(f"kernel {kernel.name} cannot be run here: {error}")
        return NO_GUEST, f"not run: {error}"
    spent = f"ready in {fetched:.0f} s"
    if ended.started_s is not None:
        spent += f", booted in {ended.started_s:.0f} s"
        spent += f", command {ended.seconds - ended.started_s:.0f} s"
    if ended.code is not None:
        return ended.code, f"exit code {ended.code} ({image.release}; {spent})"
    tail = ended.console.splitlines()[-CONSOLE_LINES:]
    say(f"{ended.fault} ({image.release}; {spent}); the end of its console:")
    print("\n".join(tail), file=sys.stderr, flush=True)
    return HUNG if "deadline" in ended.fault else NO_GUEST, ended.fault


def suite(
    kernels: tuple[Kernel, ...], chosen: vm_kernels.Suite, extra: list[str]
) -> int:
    os.chdir(vm_kernels.ROOT)
    also = [test for kernel in kernels for test in kernel.also]
    compile_here(extra or [*chosen.tests, *also])

    def argv(kernel: Kernel) -> list[str]:
        return [*PYTEST, *(extra or (*chosen.tests, *kernel.also))]

    for kernel in kernels:
        say(f"kernel {kernel.name}: {' '.join(argv(kernel))}")

    def one(kernel: Kernel) -> tuple[int, str]:
        return run_one(kernel, argv(kernel), chosen.deadline_s, SUITE_CPUS, kernel.name)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        ends = list(pool.map(one, kernels))
    codes = [code for code, _ in ends]
    lines = [
        f"kernel {kernel.name}: {'ok' if code == 0 else 'FAILED'}, {line}"
        for kernel, (code, line) in zip(kernels, ends, strict=True)
    ]
    for line in lines:
        say(line)
    if NO_GUEST in codes:
        say("./scripts/test --native leaves the other kernels out")
        return NO_GUEST
    return 1 if any(codes) else 0


def compile_here(tests: list[str]) -> None:
    """Leave byte code where the guests look for it: to make it there is most of a minute each. Of the
    agent and its commands a native run of the suite has left it."""
    os.environ["PYTHONPYCACHEPREFIX"] = str(vm_kernels.ROOT / ".cache/bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(
        [sys.executable, *PYTEST[2:], "--collect-only", *tests],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--kernel",
        metavar="NAME",
        help="one of --list (default: its first; --suite: all)",
    )
    add(
        "--deadline",
        type=float,
        metavar="S",
        help="end the guest after S seconds (600)",
    )
    add("--list", action="store_true", help="the kernels, and which are in the cache")
    add(
        "--fetch",
        action="store_true",
        help="have the kernels in the cache, newest ones",
    )
    add(
        "--suite",
        action="store_true",
        help="the tests of tests/kernel/kernels.toml, or argv's",
    )
    add(
        "argv", nargs="*", metavar="-- command", help="the command; --suite: for pytest"
    )
    told = parser.parse_args()
    if not (told.list or told.fetch or told.suite or told.argv):
        parser.error("a command, or --suite, --list, --fetch")
    if told.deadline is not None and told.deadline <= 0:
        parser.error("--deadline must be more than 0")
    return told


def stop(number: int, _frame: object) -> None:
    boot.end_all()
    sys.exit(128 + number)


def main() -> int:
    told = arguments()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    kernels, chosen = vm_kernels.read()
    try:
        if told.kernel:
            kernels = (vm_kernels.find(told.kernel, kernels),)
        if told.list or told.fetch:
            for kernel in kernels:
                if told.fetch:
                    vm_kernels.ready(kernel, refresh=True)
                have = vm_kernels.unpacked(vm_kernels.CACHE / kernel.name)
                print(
                    kernel.name, kernel.package, have.release if have else "-", sep="\t"
                )
            return 0
    except UnavailableError as error:
        say(str(error))
        return NO_GUEST
    if told.suite:
        deadline_s = told.deadline or chosen.deadline_s
        return suite(kernels, replace(chosen, deadline_s=deadline_s), told.argv)
    code, _ = run_one(kernels[0], told.argv, told.deadline or 600, COMMAND_CPUS)
    return code


if __name__ == "__main__":
    sys.exit(main())
