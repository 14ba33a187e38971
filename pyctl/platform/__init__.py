"""The only users of netlink, setns, bpf(2) and /proc.

netlink: messages as the kernel wrote them. netns, process, inhabitants: who is where. links, l3,
neighbours: interfaces, and what they carry. advertised, announced: what IPv6 routers made of it. sysctl, offloads: how one interface is set.
change_watch, listeners: what happens in a namespace. bpf*: maps, programs, hooks.
tc_filters: filters on clsact; tcmsg: their messages' heads. heap: the C library's,
kept small. probe: what this host can do.

In and out: plain values and pyctl.model types. May import pyctl.model, pyctl.errors
and unbroken.
"""
