"""What a rule asks of a flow besides its application: how it is read, and how it is written.

names  names of hosts, and patterns of them     tls  names, protocols and versions of TLS
http   methods, paths and hosts of requests

In: plain values. Out: values of types. May import what the package above does, and its modules.
"""
