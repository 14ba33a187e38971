"""Sockets of a namespace: who listens, which routing protocols are spoken.

listeners  TCP ports of a process     protocols  routing protocols, packet sockets     tcp  all TCP sockets

In: a namespace that the thread stands in, or a process. Out: ports, names. May import platform.netlink,
platform.netns, platform.process.
"""
