"""What an interface had, and putting it back.

snapshot  all that is kept                    routes  its routes, their next hops
put_back  names, queues, addresses, neighbours    master  its bridge or VRF

In: sockets, names. Out: values for the journal; messages. May import platform.
"""
