"""The first act's two containers: Docker's where a daemon answers or can be started, else plain network
namespaces with the same programs in them. All of it is removed with the lab."""

from __future__ import annotations

from tests.lab.containers.runtimes import Box, Runtime, private_docker, root_filesystem
from tests.lab.net.netns import Lab, bridge
from tests.lab.pace import UnavailableError
from tests.lab.processes import must, undisturbed

GATEWAY = "10.213.7.1/24"
PROGRAMS = {
    "web": ("10.213.7.2/24", ("/bin/nginx", "-c", "/etc/nginx/nginx.conf")),
    "client": ("10.213.7.3/24", ("/bin/sleep", "3600")),
}


def boxes(lab: Lab) -> tuple[str, dict[str, str], list[Box]]:
    """What they are, what tells other programs of their runtime, and web (nginx) and client."""
    host = Runtime("docker", ["docker"], "")
    try:
        docker = host if host.answers() else private_docker(lab)
    except UnavailableError:
        kind = "plain network namespaces (no Docker daemon runs or can be started here)"
        return kind, {}, namespace_boxes(lab)
    return "Docker containers", docker.environment, docker_boxes(lab, docker)


def docker_boxes(lab: Lab, docker: Runtime) -> list[Box]:
    image, tar = f"{lab.tag}:1", lab.folder / "root.tar"
    root_filesystem(tar)
    lab.undo.callback(docker.do, "rmi", "-f", image, check=False)
    docker.do("import", str(tar), image)
    made = []
    for role, (_, command) in PROGRAMS.items():
        name = f"{lab.tag}-{role}"
        lab.undo.callback(docker.do, "rm", "-f", name, check=False)
        label = ("--label", f"role={role}")
        docker.do("run", "-d", "--name", name, *label, image, *command)
        made.append(docker.box(name))
    return made


def namespace_boxes(lab: Lab) -> list[Box]:
    host = lab.netns("host")
    host.batch(*bridge(GATEWAY))
    tree = lab.folder / "root"
    tree.mkdir()
    root_filesystem(lab.folder / "root.tar")
    must("tar", "-C", tree, "-xf", lab.folder / "root.tar")
    made = []
    for role, (address, command) in PROGRAMS.items():
        pod = lab.pod(role, host, f"to-{role}", address, via=(GATEWAY,))
        inside = ["chroot", str(tree)]
        with undisturbed():
            pid = pod.spawn(*inside, *command).pid
        target = ["--pid", str(pid), "--name", pod.name, "--label", f"role={role}"]
        enter = ["nsenter", f"--net={pod.path}", *inside]
        made.append(Box(pod.name, pid, pod.address, enter, target))
    return made
