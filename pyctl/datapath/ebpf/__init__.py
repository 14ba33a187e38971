"""The eBPF datapath: programs on clsact, maps of ports, addresses and flows.

driver  the Driver     loader  bcc in a child process     entries  map entries     skb_layout  of this kernel
worker_maps  those that each engine has of its own

In: port pairs. Out: filters, map entries. May import datapath, platform, abi.
"""
