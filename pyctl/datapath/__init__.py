"""Steering in the kernel: one driver contract, one module for each driver.

base     Driver, the contract             select  which drivers there are
ebpf     the driver over BPF programs     loader  compiles and pins them, in a child process
pins     what is pinned where             events  the ring of dropped packets
maps     the entries of the maps decoded  render  a pair's rules, for people
u32      the driver over the classic rules; u32_session: the steps that change them, u32_plan: what
         is wanted, u32_state: what was asked for, u32_counters, u32_probe: whether it can be had

In: `model.PortPair`. Out: filters and maps in the kernel. May import platform, abi, model, errors,
unbroken and fallback_tc; never policy, intercept or engine.
"""
