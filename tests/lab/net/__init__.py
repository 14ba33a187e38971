"""Network namespaces: made, wired, filled with programs, and looked at from outside segctl.

netns     a lab of namespaces and wires, a few with names   crowd     namespaces by the hundred
traffic   servers and clients that run in them              pulse     a datagram each millisecond
snapshot  all that a namespace has                          netcount, backlog  what the kernel has counted
raw_tcp   a TCP client that sends any segment            raw_link  one that does so to another host
named     dnsmasq, and a client that looks up and connects
connection_load  very many connections between members of a crowd

In: roles, addresses, programs. Out: Netns and Program, gone at the end; pictures and counts as plain values.
"""
