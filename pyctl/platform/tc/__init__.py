"""tc over rtnetlink: qdiscs and filters, and the heads of their messages.

filters  the hooks of a namespace, by any client     rule_sets  the same, by the raw client, for many rules at once
qdiscs   what hangs on an interface, to be put back     messages  how they begin

In: sockets, interfaces. Out: values that keep every attribute's bytes. May import platform.netlink,
platform.netns.
"""
