"""The kernels of tests/kernel/kernels.toml: which there are, and each unpacked under .cache/kernels.

In: the list; apt and its archive, once for each kernel. Out: Kernel, Unpacked. I/O: apt-get, dpkg-deb
and depmod; files below .cache/kernels. Nothing is ever installed on the host: an image is downloaded
(apt compares its checksum with that of its signed lists), unpacked and indexed beside its place, then
renamed into it, so what is in place is whole. One at a time gets a kernel ready: others wait, then find it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.lab.pace import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/kernel/kernels.toml"
CACHE = ROOT / ".cache/kernels"


@dataclass(frozen=True)
class Kernel:
    """One of the list: its name there, the meta-package that stands for its image, and tests that
    this one runs besides the suite's."""

    name: str
    package: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """What runs in each kernel: pytest's arguments, and how long a guest may take."""

    tests: tuple[str, ...]
    deadline_s: float


@dataclass(frozen=True)
class Unpacked:
    """An image in the cache."""

    image: Path
    release: str


def read(path: Path = LIST) -> tuple[tuple[Kernel, ...], Suite]:
    """The list; KeyError or TypeError where the file is not of its form."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    kernels = tuple(
        Kernel(one["name"], one["package"], tuple(one.get("also", ())))
        for one in told["kernel"]
    )
    suite = told["suite"]
    return kernels, Suite(tuple(suite["tests"]), float(suite["deadline_s"]))


def find(name: str, kernels: tuple[Kernel, ...]) -> Kernel:
    for kernel in kernels:
        if kernel.name == name:
            return kernel
    known = ", ".join(kernel.name for kernel in kernels)
    raise UnavailableError(f"no kernel {name!r} in {LIST.name}: it has {known}")


def unpacked(folder: Path) -> Unpacked | None:
    images = sorted(folder.glob("boot/vmlinuz-*"))
    if not images:
        return None
    return Unpacked(images[-1], images[-1].name.removeprefix("vmlinuz-"))


def ready(kernel: Kernel, *, refresh: bool = False) -> Unpacked:
    """From the cache, else downloaded; `refresh` asks apt for a newer one. UnavailableError."""
    place = CACHE / kernel.name
    found = unpacked(place)
    if found and not refresh:
        return found
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return renewed(kernel, place, refresh=refresh)


def renewed(kernel: Kernel, place: Path, *, refresh: bool) -> Unpacked:
    """In the cache, by whom nobody stands beside."""
    found = unpacked(place)
    if found and not refresh:
        return found
    image = image_package(kernel.package)
    if found and image == f"linux-image-{found.release}":
        return found
    fresh = CACHE / f"{kernel.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        now = fetched(image, fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Unpacked(place / now.image.relative_to(fresh), now.release)


def fetched(image: str, fresh: Path) -> Unpacked:
    """A package's kernel and modules, in that folder."""
    # As root, not as _apt, which may not enter the repository.
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", image, cwd=fresh)
    (archive,) = fresh.glob("*.deb")
    run("dpkg-deb", "-x", archive.name, ".", cwd=fresh)
    archive.unlink()
    now = unpacked(fresh)
    if now is None:
        raise UnavailableError(f"{image} holds no boot/vmlinuz-*")
    run("depmod", "-b", str(fresh), now.release)
    return now


def image_package(meta: str) -> str:
    """Which image apt has for it; asks the archive for its lists where they do not know."""
    for update in (False, True):
        if update:
            run("apt-get", "-q", "update")
        for line in asked_apt(meta).splitlines():
            word, _, package = line.strip().partition(": ")
            if word == "Depends" and package.startswith("linux-image-"):
                return package
    raise UnavailableError(
        f"apt knows no package {meta}: it is one of Debian's, see /etc/apt/sources.list*"
    )


def asked_apt(meta: str) -> str:
    """What apt says a package depends on, in its own words; nothing for one that it does not know."""
    try:
        told = subprocess.run(
            ["apt-cache", "depends", "--important", meta],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise UnavailableError("no apt-cache here") from error
    return told.stdout


def run(*argv: str, cwd: Path | None = None) -> None:
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd)
    except FileNotFoundError as error:
        raise UnavailableError(f"no {argv[0]} here") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()[-3:]
        raise UnavailableError(f"{' '.join(argv)}: {' / '.join(said)}") from error
