"""Links, addresses, routes and neighbours over rtnetlink, as the kernel wrote them.

raw     one socket: messages, answers that are known to be the kernel's; it says when it is used, and when pyroute2
links   interfaces     l3  addresses, routes and rules     neighbours, nexthops
route_text  one route in words     advertised, announced  what IPv6 routers made of an interface

In: sockets opened in a namespace. Out: values that keep every attribute's bytes. May import platform.ready,
platform.absence.
"""
