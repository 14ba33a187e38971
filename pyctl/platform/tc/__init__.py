"""tc over rtnetlink: qdiscs and filters, and the heads of their messages.

In: sockets, interfaces. Out: values that keep every attribute's bytes. May import platform.netlink,
platform.netns.
"""
