"""Steering in the kernel: one driver contract, one module for each driver.

base     Driver, the contract             select  which driver a wish gives
ebpf     the driver over BPF programs     loader  compiles and pins them, in a child process
pins     what is pinned where             events  the ring of dropped packets
maps     the entries of the maps decoded  render  a pair's rules, for people

In: `model.PortPair`. Out: filters and maps in the kernel. May import platform, abi, model, errors
and fallback_tc; never policy, intercept or engine.
"""
