"""The eBPF datapath: programs on clsact, maps of ports, addresses and flows.

driver  the Driver     loader  bcc in a child process     entries  map entries     skb_layout  of this kernel

In: port pairs. Out: filters, map entries. May import datapath, platform, abi.
"""
