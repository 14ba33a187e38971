"""Two containers for the demo: Docker's where a daemon answers or can be started, else plain
network namespaces with the same programs in them. All of it is removed at the end."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from demo_commands import background, call, must, undisturbed

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
SUBNET = {"gateway": "10.213.7.1", "web": "10.213.7.2", "client": "10.213.7.3"}


@dataclass
class Box:
    """One container: its name, a pid in it, its address, and how to run things in it."""

    name: str
    pid: int
    ip: str
    enter: list[str]
    target: list[str]
    """What `segctl attach` is told: --container NAME or --pid N."""

    def run(self, *argv: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter, *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.enter, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def libraries(program: str) -> set[str]:
    """The shared objects that a program loads, by path."""
    out = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=False
    ).stdout
    return set(re.findall(r"(/\S+)", out))


def root_filesystem(target: Path) -> None:
    """A tar with nginx, curl, busybox and what they load: an image without a registry."""
    programs = {
        name: shutil.which(name) or f"/usr/sbin/{name}" for name in ("nginx", "curl")
    }
    with tarfile.open(target, "w") as tar:
        for directory in DIRECTORIES:
            info = tarfile.TarInfo(directory)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        programs["busybox"] = shutil.which("busybox") or "/bin/busybox"
        for name, path in programs.items():
            tar.add(os.path.realpath(path), f"bin/{name}")
        for library in set().union(*map(libraries, programs.values())):
            tar.add(os.path.realpath(library), library.lstrip("/"))
        for applet in ("sh", "sleep", "cat"):
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        files = {
            "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            "etc/group": "root:x:0:\nnogroup:x:65534:\n",
            "etc/nginx/nginx.conf": NGINX_CONF,
        }
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        info = tarfile.TarInfo("srv/big")
        info.size = BIG_BYTES
        with Path("/dev/zero").open("rb") as zeros:
            tar.addfile(info, zeros)  # reads info.size bytes


def wait_until(what: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether `what` came true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Lab:
    """Gives `web` and `client`; a context manager that removes everything."""

    def __init__(self) -> None:
        self.tag = f"segdemo-{secrets.token_hex(2)}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self.undo = contextlib.ExitStack()
        self.undo.callback(remove_folder, self.folder)
        self.kind = ""
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with undisturbed():
            self.undo.close()

    def boxes(self) -> tuple[Box, Box]:
        """web (nginx) and client, by the best means this host has."""
        if self._docker_answers({}) or self.start_docker():
            self.kind = "Docker containers"
            return self._docker_boxes()
        self.kind = (
            "plain network namespaces (no Docker daemon runs or can be started here)"
        )
        return self._namespace_boxes()

    def _docker_answers(self, environment: dict[str, str]) -> bool:
        if not shutil.which("docker"):
            return False
        found = call(
            *("docker", "info", "--format", "{{.ServerVersion}}"),
            environment={**os.environ, **environment},
        )
        return found.returncode == 0 and bool(found.stdout.strip())

    def start_docker(self) -> bool:
        """A private daemon in a namespace of its own: the host's firewall stays untouched."""
        if not shutil.which("dockerd"):
            return False
        outside = f"{self.tag}-outside"
        self.undo.callback(call, "ip", "netns", "del", outside)
        must("ip", "netns", "add", outside)
        enter = ["nsenter", f"--net=/run/netns/{outside}"]
        must(*enter, "ip", "link", "set", "lo", "up")
        self.undo.callback(remove_cgroups, self.tag)
        (self.folder / "daemon.json").write_text("{}")
        url = f"unix://{self.folder}/docker.sock"
        # A containerd of the host is shared, where there is one: names of our own in it.
        options = {
            "host": url,
            "data-root": f"{self.folder}/data",
            "exec-root": f"{self.folder}/exec",
            "pidfile": f"{self.folder}/dockerd.pid",
            "config-file": f"{self.folder}/daemon.json",
            "cgroup-parent": f"/{self.tag}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "containerd-namespace": self.tag,
            "containerd-plugins-namespace": f"{self.tag}-plugins",
        }
        daemon = background(
            [
                *enter,
                "dockerd",
                *(f"--{key}={value}" for key, value in options.items()),
            ],
            self.undo,
            self.folder / "dockerd.log",
        )
        answers = wait_until(
            lambda: (
                daemon.poll() is not None or self._docker_answers({"DOCKER_HOST": url})
            ),
            15,
        )
        if not answers or daemon.poll() is not None:
            return False
        self.environment["DOCKER_HOST"] = url
        self.undo.callback(self._remove_containers)
        return True

    def _remove_containers(self) -> None:
        """All that the private daemon has: ending, it would give each ten seconds."""
        if names := self._docker("ps", "-aq").split():
            self._docker("rm", "-f", *names)

    def why_no_docker(self) -> str:
        """The daemon's own last words."""
        log = self.folder / "dockerd.log"
        return log.read_text()[-300:] if log.exists() else "dockerd is not installed"

    def _docker(self, *argv: str) -> str:
        environment = {**os.environ, **self.environment}
        return must("docker", *argv, environment=environment).stdout.strip()

    def _docker_boxes(self) -> tuple[Box, Box]:
        image, tar = f"{self.tag}:1", self.folder / "root.tar"
        root_filesystem(tar)
        environment = {**os.environ, **self.environment}
        self.undo.callback(call, "docker", "rmi", "-f", image, environment=environment)
        self._docker("import", str(tar), image)
        boxes = []
        commands = {
            "web": ["/bin/nginx", "-c", "/etc/nginx/nginx.conf"],
            "client": ["/bin/sleep", "3600"],
        }
        for role, command in commands.items():
            name = f"{self.tag}-{role}"
            self.undo.callback(
                call, "docker", "rm", "-f", name, environment=environment
            )
            self._docker(
                "run", "-d", "--name", name, "--label", f"role={role}", image, *command
            )
            facts = self._docker(
                "inspect", "-f", "{{.State.Pid}} {{.NetworkSettings.IPAddress}}", name
            ).split()
            prefix = (
                [f"DOCKER_HOST={self.environment['DOCKER_HOST']}"]
                if self.environment
                else []
            )
            boxes.append(
                Box(
                    name,
                    int(facts[0]),
                    facts[1],
                    ["env", *prefix, "docker", "exec", name],
                    ["--container", name],
                )
            )
        return boxes[0], boxes[1]

    def _namespace_boxes(self) -> tuple[Box, Box]:
        host = f"{self.tag}-host"
        for role in ("host", "web", "client"):
            name = f"{self.tag}-{role}"
            self.undo.callback(call, "ip", "netns", "del", name)
            must("ip", "netns", "add", name)

        def ip(namespace: str, *argv: str) -> None:
            must("ip", "-n", namespace, *argv)

        ip(host, "link", "add", "br0", "type", "bridge")
        ip(host, "addr", "add", f"{SUBNET['gateway']}/24", "dev", "br0")
        ip(host, "link", "set", "br0", "up")
        tree = self.folder / "root"
        tree.mkdir()
        root_filesystem(self.folder / "root.tar")
        must("tar", "-C", str(tree), "-xf", f"{self.folder}/root.tar")
        commands = {
            "web": ["/bin/nginx", "-c", "/etc/nginx/nginx.conf"],
            "client": ["/bin/sleep", "3600"],
        }
        boxes = []
        for role, command in commands.items():
            name, peer = f"{self.tag}-{role}", f"to-{role}"
            ip(
                name,
                *("link", "add", "eth0", "type", "veth"),
                *("peer", "name", peer, "netns", host),
            )
            ip(host, "link", "set", peer, "master", "br0", "up")
            ip(name, "addr", "add", f"{SUBNET[role]}/24", "dev", "eth0")
            ip(name, "link", "set", "eth0", "up")
            ip(name, "link", "set", "lo", "up")
            ip(name, "route", "add", "default", "via", SUBNET["gateway"])
            enter = ["nsenter", f"--net=/run/netns/{name}", "chroot", str(tree)]
            process = background([*enter, *command], self.undo)
            boxes.append(
                Box(
                    name,
                    process.pid,
                    SUBNET[role],
                    enter,
                    [
                        "--pid",
                        str(process.pid),
                        "--name",
                        name,
                        "--label",
                        f"role={role}",
                    ],
                )
            )
        return boxes[0], boxes[1]


def remove_folder(folder: Path) -> None:
    """The daemon leaves mounts behind, as of the namespace of a container with the host's network."""
    mounts = [
        line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
    ]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(folder):
            call("umount", "--lazy", mount)
    shutil.rmtree(folder, ignore_errors=True)


def remove_cgroups(name: str) -> None:
    """The daemon leaves the parent of its containers' groups behind, in every hierarchy."""
    for group in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
