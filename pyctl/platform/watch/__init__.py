"""Changes of a namespace as they happen: addresses and links, filters, links by index.

changes  of addresses and links     filters  of tc     links  which links, by index

In: a namespace. Out: a descriptor to wait on, and what was touched. May import platform.netlink,
platform.netns, platform.tc.
"""
