"""Containers that need no registry and touch no daemon of the host.

runtimes  a private Docker or Podman, and images from the host's own files
tiers     a shop of three tiers: nginx, Python, PostgreSQL

In: programs of the host. Out: boxes that run, gone at the end.
"""
