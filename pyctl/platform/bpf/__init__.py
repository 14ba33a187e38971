"""bpf(2): maps, programs, links, and the hooks they hang on.

commands  the system call     fs  its file system     ring  ring buffers     grace  until no program runs
links     BPF links           tc, tcx, xdp  what hangs on an interface

In: descriptors, paths. Out: values. May import platform.iproute, platform.netlink,
platform.netns, platform.tc.
"""
