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
import subprocess
import sys
import time
from dataclasses import replace

import vm_boot
import vm_kernels
from vm_kernels import Kernel, UnavailableError

HUNG, NO_GUEST = 124, 125
CONSOLE_LINES = 60
PYTEST = (
    "./scripts/sandbox",
    ".venv/bin/python",
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "-q",
)
HANDED_ON = ("CI", "TERM", "COLUMNS", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")


def say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run_one(kernel: Kernel, argv: list[str], deadline_s: float) -> tuple[int, str]:
    """Exit code, and how it went in one line."""
    begun = time.monotonic()
    try:
        image = vm_kernels.ready(kernel)
        fetched = time.monotonic() - begun
        handed = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        ended = vm_boot.boot(image, argv, deadline_s, handed)
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
    compile_here(extra or list(chosen.tests))
    argv = [*PYTEST, *(extra or chosen.tests)]
    codes, lines = [], []
    for kernel in kernels:
        say(f"kernel {kernel.name}: {' '.join(argv)}")
        code, line = run_one(kernel, argv, chosen.deadline_s)
        codes.append(code)
        lines.append(f"kernel {kernel.name}: {'ok' if code == 0 else 'FAILED'}, {line}")
    for line in lines:
        say(line)
    if NO_GUEST in codes:
        say("./scripts/test without --vm leaves the other kernels out")
        return NO_GUEST
    return 1 if any(codes) else 0


def compile_here(tests: list[str]) -> None:
    """Leave byte code where the guests look for it: to make it there is most of a minute each."""
    os.environ["PYTHONPYCACHEPREFIX"] = str(vm_kernels.ROOT / ".cache/vm-bytecode")
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
    return told


def main() -> int:
    told = arguments()
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
    code, _ = run_one(kernels[0], told.argv, told.deadline or 600)
    return code


if __name__ == "__main__":
    sys.exit(main())
