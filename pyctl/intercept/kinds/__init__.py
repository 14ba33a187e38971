"""What the splice does by the kind of a workload's interface: one protocol, a module for each kind.

base  the protocol, and what holds where a kind says nothing     choose  the kinds that are spliced, by name
veth, macvlan  what is their own

In: a Link, a Port. Out: facts, messages for the kernel. May import platform.netlink, model.
To splice another kind, write its module and name it in `choose.KINDS`; nothing else asks for a kind.
"""
