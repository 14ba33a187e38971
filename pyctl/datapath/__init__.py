"""Steering in the kernel: one driver contract, two drivers.

base     Driver, the contract          drivers  one of each kind, and ports handed over between them
ebpf     BPF programs and maps         u32      the classic rules
pins, maps  what is pinned where, and decoded
owners   whose MACs and addresses      events   the ring of dropped packets
seal     how a program knows an entry of the agent's as whole
render   a pair's rules, for people    foreign_filters  of others, in front of ours

The enforcer's namespace can be reached by the nsid of a link's peer, from any workload with CAP_NET_ADMIN in the
agent's user namespace. On ebpf, what is hung on vin, vex or vth-neuv sends and hears nothing (not_inspected); what is
on vbr-neuv can have a frame judged as any port's. u32 alone guards none of these. A device made there is reported as
an event, one elsewhere when what it sends is dropped. A device on the host's own links is a way out: in an attached
workload it is inspected as an interface that comes later, elsewhere not at all.

In: `model.PortPair`. Out: filters and maps in the kernel. May import platform, abi, model, errors,
signal_shield and fallback_tc; never policy, intercept or engine.
"""
