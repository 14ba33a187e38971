"""Steering in the kernel: one driver contract, two drivers.

base     Driver, the contract          drivers  one of each kind, and ports handed over between them
ebpf     BPF programs and maps         u32      the classic rules
select   whether a kind can be had     pins, maps  what is pinned where, and decoded
owners   whose MACs and addresses      events   the ring of dropped packets
render   a pair's rules, for people    foreign_filters  of others, in front of ours

In: `model.PortPair`. Out: filters and maps in the kernel. May import platform, abi, model, errors,
signal_shield and fallback_tc; never policy, intercept or engine.
"""
