"""Links, addresses, routes and neighbours over rtnetlink, as the kernel wrote them.

raw     one socket: messages, answers that are known to be the kernel's     links  interfaces
l3      addresses, routes and rules   route_text  one route in words        neighbours, nexthops
advertised, announced  what IPv6 routers made of an interface

In: sockets opened in a namespace. Out: values that keep every attribute's bytes. May import platform.ready,
platform.absence.
"""
