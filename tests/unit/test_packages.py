"""scripts/packages on a played host: what it installs, and what it leaves as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "packages"
TOOLS = [
    "sh",
    "sed",
    "find",
    "sort",
    "mktemp",
    "comm",
    "tr",
    "rm",
    "mv",
    "chmod",
    "ln",
    "mkdir",
    "cat",
    "grep",
    "timeout",
]

APT = """#!/bin/sh
case "$*" in
update*) exit ;;
*" install "*"-s"* | "-s"*)
    for word; do
        [ ! -e "$PLAYED/removes/$word" ] || echo "Remv $(cat "$PLAYED/removes/$word") [1.0]"
    done ;;
*)
    echo "$*" >>"$PLAYED/apt"
    "$SEGCTL_ROOT/usr/sbin/policy-rc.d" nginx start && echo started >>"$PLAYED/apt"
    ln -s /lib/nginx.service "$SEGCTL_ROOT/etc/systemd/system/multi-user.target.wants/nginx.service"
    ln -s ../init.d/nginx "$SEGCTL_ROOT/etc/rc3.d/S01nginx" ;;
esac
"""
DPKG = """#!/bin/sh
for word; do :; done
[ ! -e "$PLAYED/installed/$word" ] || printf 'install ok installed'
"""


class Host:
    """A root directory, and programs that play apt and dpkg."""

    def __init__(self, place: Path) -> None:
        self.root, self.played, self.programs = (
            place / name for name in ("root", "played", "bin")
        )
        for folder in (
            *("etc/systemd/system/multi-user.target.wants", "etc/rc3.d", "proc"),
            "usr/sbin",
        ):
            (self.root / folder).mkdir(parents=True)
        for folder in ("installed", "removes"):
            (self.played / folder).mkdir(parents=True)
        self.programs.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found
            (self.programs / tool).symlink_to(found)
        self.program("apt-get", APT)
        self.program("dpkg-query", DPKG)
        self.program("id", "#!/bin/sh\necho 0\n")

    def program(self, name: str, text: str = "#!/bin/sh\n") -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def install(self, *packages: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *packages],
            env={
                "PATH": str(self.programs),
                "PLAYED": str(self.played),
                "SEGCTL_ROOT": str(self.root),
                "SEGCTL_TOLD": str(self.played / "told"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def asked(self) -> str:
        """What apt was told to do."""
        path = self.played / "apt"
        return path.read_text() if path.exists() else ""

    def links(self) -> list[str]:
        return sorted(
            path.name for path in (self.root / "etc").rglob("*") if path.is_symlink()
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_is_missing_is_installed_and_nothing_starts_or_stays_enabled(host):
    kept = host.root / "etc/systemd/system/multi-user.target.wants/ssh.service"
    kept.symlink_to("/lib/ssh.service")
    (host.played / "installed/curl").touch()
    done = host.install("curl", "nginx", "docker.io")
    assert done.returncode == 0, done.stderr
    assert host.asked().split() == [
        *("install", "-y", "-q", "--no-install-recommends", "--no-remove"),
        *("nginx", "docker.io"),
    ]
    assert host.links() == ["K01nginx", "ssh.service"]
    assert not (host.root / "usr/sbin/policy-rc.d").exists()
    assert "installed nginx docker.io" in (host.played / "told").read_text()


@pytest.mark.parametrize("package", ["docker-ce", "containerd.io", "moby-engine"])
def test_debians_docker_comes_not_beside_another_package(host, package):
    (host.played / "installed" / package).touch()
    done = host.install("docker.io", "nginx")
    assert (
        f"docker.io is not installed: a container engine is here (the package {package})"
        in done.stdout
    )
    assert host.asked().endswith(" nginx\n")


def test_debians_docker_comes_not_beside_a_program_or_a_process(host):
    (host.root / "proc/77").mkdir()
    (host.root / "proc/77/comm").write_text("containerd\n")
    assert "a running containerd" in host.install("docker.io").stdout
    host.program("dockerd")
    assert str(host.programs / "dockerd") in host.install("docker.io").stdout
    assert host.asked() == ""


CLIENT = "#!/bin/sh\nexit 1\n"
"""A docker that reaches no daemon."""


@pytest.mark.parametrize("package", ["", "docker-ce-cli", "moby-cli"])
def test_debians_docker_comes_beside_a_client_of_which_apt_removes_nothing(
    host, package
):
    host.program("docker", CLIENT)
    if package:
        (host.played / "installed" / package).touch()
    assert host.install("docker.io").returncode == 0
    assert host.asked().endswith(" docker.io\n")


def test_a_client_that_apt_would_remove_stays(host):
    host.program("docker", CLIENT)
    (host.played / "installed/docker-ce-cli").touch()
    (host.played / "removes/docker.io").write_text("docker-ce-cli")
    done = host.install("docker.io", "nginx")
    assert "docker.io is not installed: apt would remove docker-ce-cli" in done.stdout
    assert host.asked().endswith(" nginx\n")


def test_debians_docker_comes_not_beside_a_daemon_that_answers_from_elsewhere(host):
    """As in a container that has its host's socket."""
    host.program("docker", '#!/bin/sh\n[ "$1" = version ]\n')
    assert "a daemon answers docker" in host.install("docker.io").stdout
    assert host.asked() == ""


@pytest.mark.parametrize("debians", [False, True])
def test_a_client_where_docker_io_has_its_own_is_not_written_over(host, debians):
    """Newer Debians have the client in a package of its own, which docker.io leaves alone."""
    (host.root / "usr/bin").mkdir()
    (host.root / "usr/bin/docker").write_text(CLIENT)
    if debians:
        (host.played / "installed/docker-cli").touch()
    done = host.install("docker.io")
    assert done.returncode == 0
    assert ("it would replace /usr/bin/docker" in done.stdout) is not debians
    assert bool(host.asked()) is debians


def test_what_would_remove_a_package_is_left_out(host):
    (host.played / "removes/runc").write_text("containerd.io")
    done = host.install("runc", "nginx")
    assert "runc is not installed: apt would remove containerd.io" in done.stdout
    assert host.asked().endswith(" nginx\n")


def test_with_nothing_missing_nobody_is_asked(host):
    (host.played / "installed/curl").touch()
    (host.programs / "id").unlink()
    assert host.install("curl").returncode == 0
    assert (host.asked(), host.links()) == ("", [])


def test_a_policy_of_the_hosts_own_is_back_afterwards(host):
    """One that would let services start."""
    policy = host.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)
    host.install("nginx")
    assert "started" not in host.asked()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert os.access(policy, os.X_OK)
