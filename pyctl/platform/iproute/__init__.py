"""pyroute2, the netlink library for links, addresses and tc off the cut-off time.

client  pyroute2's socket, which hears the kernel alone, waits no longer than it should and reads a torn dump again
links   interfaces and their addresses

It asks; what the kernel answers stays bytes, which netlink.links and netlink.l3 read. netlink.raw says what does not
go through here. In: a namespace. Out: Links, message bodies. May import platform.netlink, platform.netns.
"""
