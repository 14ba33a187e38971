"""Containers by name: which process, image and labels a name or id stands for.

base    Container, and the Runtime protocol
docker  the Docker SDK, for Docker and for Podman's compatible socket
podman  `podman inspect`, where no Podman socket answers
resolve asks them in turn: resolve(reference, host) → Container

In: a name, an id or a process. Out: Container. I/O: the daemons' unix sockets, the podman program. May import: platform, model, errors.
"""
