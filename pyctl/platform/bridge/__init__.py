"""A port of a Linux bridge: what hangs on it, to be put back.

port  all of it together     spanning_tree, vlans, fdb, mdb  each part

In: a socket in the bridge's namespace, the port. Out: values, restored with messages. May import
platform.netlink.
"""
