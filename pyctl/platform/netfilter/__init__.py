"""Connection tracking (conntrack) and nftables of a namespace.

In: sockets. Out: entries, base chains. May import platform.netlink, platform.netns, platform.sysctl.
"""
