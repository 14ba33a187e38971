"""Containers: a private Docker or Podman in namespaces of its own, and images without a registry.

Depends on: root; docker.io, or podman with runc. An image is made of this host's programs. All that a
daemon has made goes with the lab.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.net.netns import Lab
from tests.lab.pace import UnavailableError, in_time
from tests.lab.processes import call, end, must, undisturbed

PODMAN_CONF = """
[containers]
default_ulimits=["nofile=1024:4096","nproc=4096:4096"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
"""
IMAGE = "localhost/segt:1"
SERVE = ("/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/srv")
NGINX_CONF = """
daemon off; user root; worker_processes 1; pid /tmp/nginx.pid; error_log /dev/stderr crit;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
  uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; default_type text/plain; sendfile on;
  server {
    listen 80; listen [::]:80; root /srv;
    location = / { return 200 "hello from nginx\\n"; }
    location = /slow { alias /srv/big; limit_rate 3m; }
  }
}
"""
DIRECTORIES = ("bin", "etc/nginx", "srv", "tmp", "proc", "sys", "dev", "var/log/nginx")
BIG_BYTES = 64 << 20


@dataclass
class Box:
    """One container: its name, a pid in it, its address, and how to run things in it."""

    name: str
    pid: int
    ip: str
    enter: list[str]
    target: list[str]
    """What `segctl attach` is told: --container NAME or --pid N."""

    def run(self, *argv: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
        """Run to its end inside."""
        return call(*self.enter, *argv, seconds=seconds)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start inside."""
        return subprocess.Popen(
            [*self.enter, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Runtime:
    """A container runtime. `url` is its API's socket; empty: the host's own."""

    def __init__(self, kind: str, command: list[str], url: str) -> None:
        self.kind = kind
        self.url = url
        self.command = command
        """Its command line, to which arguments are added."""

    @property
    def environment(self) -> dict[str, str]:
        """What tells other programs of it."""
        return {"DOCKER_HOST": self.url} if self.url else {}

    def do(self, *argv: str, check: bool = True) -> str:
        """Run its command line; what it prints."""
        with undisturbed():
            done = (must if check else call)(*self.command, *argv)
        return str(done.stdout).strip()

    def exec(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a container."""
        return call(*self.command, "exec", name, *argv)

    def start(
        self,
        name: str,
        tar: Path,
        *labels: str,
        network: str | None = None,
        more: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """A web server as container `name`, with `more` options; what `inspect` says of it."""
        if not self.do("images", "-q", IMAGE):
            self.do("import", str(tar), IMAGE)
        options = [word for label in labels for word in ("--label", label)]
        options += ["--network", network] if network else []
        options += more
        self.do("run", "-d", "--name", name, *options, IMAGE, *SERVE)
        return self.inspect(name)

    def inspect(self, name: str) -> dict[str, Any]:
        """The runtime's own description."""
        found: list[dict[str, Any]] = json.loads(self.do("inspect", name))
        return found[0]

    def address(self, name: str, network: str = "") -> str:
        """Its IPv4 address on that network, or on its first one."""
        networks = self.inspect(name)["NetworkSettings"]["Networks"]
        found = networks[network] if network else next(iter(networks.values()))
        return str(found["IPAddress"])

    def box(self, name: str, network: str = "") -> Box:
        """A container, as segctl sees it."""
        pid = int(self.inspect(name)["State"]["Pid"])
        enter = [*self.command, "exec", name]
        return Box(name, pid, self.address(name, network), enter, ["--container", name])

    def remove_all(self) -> None:
        """All that a private daemon has: ending, it would give each ten seconds."""
        if names := self.do("ps", "-aq", check=False).split():
            at_once = ("-t", "0") if self.kind == "podman" else ()
            self.do("rm", "-f", *at_once, *names, check=False)

    def answers(self) -> bool:
        """Whether a daemon is there."""
        asked = ("info", "--format", "{{.ServerVersion}}")
        return bool(shutil.which(self.kind) and self.do(*asked, check=False))


def _daemon(
    lab: Lab,
    argv: list[str],
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Start it in a namespace of its own, where the host's firewall stays untouched; give that one's
    path. UnavailableError in its last words where it ends, or is not ready in time."""
    outside = lab.netns("outside")
    log = lab.folder / "daemon.log"
    with undisturbed(), log.open("w") as out:
        process = outside.spawn(
            *argv,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
        )
        lab.undo.callback(end, process)
    in_time(lambda: process.poll() is not None or ready(), 15)
    if process.poll() is not None or not ready():
        raise UnavailableError(
            f"{argv[0]} cannot be started here: {log.read_text()[-300:]}"
        )
    return Path(outside.path)


def private_docker(lab: Lab) -> Runtime:
    """A Docker daemon that only this lab sees."""
    if not shutil.which("dockerd") or not shutil.which("docker"):
        raise UnavailableError("dockerd is not installed")
    folder = lab.folder
    lab.undo.callback(_unmount, folder)
    lab.undo.callback(_remove_cgroups, lab.tag)
    (folder / "daemon.json").write_text("{}")
    url = f"unix://{folder}/docker.sock"
    # A containerd of the host is shared, where there is one: names of our own in it.
    options = {
        "host": url,
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/dockerd.pid",
        "config-file": f"{folder}/daemon.json",
        "cgroup-parent": f"/{lab.tag}",
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "containerd-namespace": lab.tag,
        "containerd-plugins-namespace": f"{lab.tag}-plugins",
    }
    docker = Runtime("docker", ["docker", "-H", url], url)
    argv = ["dockerd", *(f"--{key}={value}" for key, value in options.items())]
    _daemon(lab, argv, docker.answers)
    lab.undo.callback(docker.remove_all)
    return docker


def private_podman(lab: Lab) -> Runtime:
    """Podman, with storage and networks that only this lab sees."""
    if not shutil.which("podman") or not shutil.which("runc"):
        raise UnavailableError("podman with runc is not installed here")
    folder = lab.folder
    conf = folder / "containers.conf"
    # Else a network outlives the test, and the next one meets it.
    own_networks = f'[network]\nnetwork_config_dir="{folder}/networks"\n'
    conf.write_text(PODMAN_CONF + own_networks)
    places = {"root": "root", "runroot": "run", "tmpdir": "tmp"}
    podman = ["podman", *(f"--{key}={folder / name}" for key, name in places.items())]
    url = f"unix://{folder}/podman.sock"
    environment = {"CONTAINERS_CONF": str(conf)}
    argv = [*podman, "system", "service", "--time=0", url]
    outside = _daemon(lab, argv, (folder / "podman.sock").exists, environment)
    enter = ["env", f"CONTAINERS_CONF={conf}", "nsenter", f"--net={outside}"]
    runtime = Runtime("podman", [*enter, *podman], url)
    lab.undo.callback(runtime.do, "umount", "--all", check=False)
    lab.undo.callback(runtime.remove_all)
    return runtime


def _libraries(program: str) -> set[str]:
    """The shared objects that a program loads, by path."""
    return set(re.findall(r"(/\S+)", call("ldd", program).stdout))


def write_image(
    target: Path,
    directories: Mapping[str, int],
    links: Mapping[str, str],
    texts: Mapping[str, str],
    copies: Mapping[str, str | Path],
) -> None:
    """A tar of directories by mode, links by what they name, files by text, and copies of this host's."""
    with tarfile.open(target, "w") as tar:
        for name, mode in directories.items():
            tar.addfile(_entry(name, type=tarfile.DIRTYPE, mode=mode))
        for name, to in links.items():
            tar.addfile(_entry(name, type=tarfile.SYMTYPE, linkname=to))
        for name, text in texts.items():
            body = text.encode()
            tar.addfile(_entry(name, size=len(body)), io.BytesIO(body))
        for name, path in copies.items():
            tar.add(path, name)


def _entry(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def root_filesystem(target: Path) -> None:
    """A tar with nginx, curl, busybox and what they load: an image without a registry."""
    programs = {
        name: shutil.which(name) or f"{folder}/{name}"
        for name, folder in (
            ("nginx", "/usr/sbin"),
            ("curl", "/bin"),
            ("busybox", "/bin"),
        )
    }
    big = target.with_name("big")
    big.touch()
    os.truncate(big, BIG_BYTES)
    copies = {f"bin/{name}": os.path.realpath(path) for name, path in programs.items()}
    for library in set().union(*map(_libraries, programs.values())):
        copies[library.lstrip("/")] = os.path.realpath(library)
    write_image(
        target,
        dict.fromkeys(DIRECTORIES, 0o755),
        {f"bin/{applet}": "busybox" for applet in ("sh", "sleep", "cat")},
        {
            "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            "etc/group": "root:x:0:\nnogroup:x:65534:\n",
            "etc/nginx/nginx.conf": NGINX_CONF,
        },
        {**copies, "srv/big": big},
    )


def _unmount(folder: Path) -> None:
    """The daemon leaves mounts behind, as of the namespace of a container with the host's network."""
    mounts = [
        line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
    ]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(folder):
            call("umount", "--lazy", mount)


def _remove_cgroups(name: str) -> None:
    """The daemon leaves the parent of its containers' groups behind, in every hierarchy."""
    for group in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
