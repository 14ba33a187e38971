"""The only users of netlink, setns, bpf(2) and /proc.

netlink  links, addresses, routes: raw   iproute   the same off the cut-off time, through pyroute2
bridge, tc, netfilter  what hangs on a link, or filters
bpf      maps, programs, hooks        watch, sockets         what happens, and who listens, in a namespace
patterns  sensors compiled, by Vectorscan
netns, process, inhabitants  who is where       sysctl, offloads, memberships  how one interface is set
cap_net_admin, heap, ready, absence  of processes and descriptors     probe_scratch  what a kernel can do

In and out: plain values and pyctl.model types. May import pyctl.model, pyctl.errors and signal_shield.
"""
