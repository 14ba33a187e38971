"""The only users of netlink, setns, bpf(2) and /proc.

netlink: messages as the kernel wrote them. netns, process: who is where. links, l3:
interfaces, and what they carry. sysctl: /proc/sys/net of one interface. bpf*: maps and
programs.

In and out: plain values and pyctl.model types. May import pyctl.model and pyctl.errors.
"""
