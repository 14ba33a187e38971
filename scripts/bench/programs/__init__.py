"""Programs in C, compiled where they are measured: a Python process would be what is measured.

    tcp, udp  bulk, exchanges, connections; datagrams at a rate, and what came of them
    http      a server and a client of HTTP/1.1; streams.h is what tcp and http share
    inject, syn  frames onto an interface, as fast as it takes them; SYNs at a rate
    policy    the engine's lookup of a verdict, without an engine
    recognise  the engine's recognisers of applications

In: arguments. Out: lines on stdout. They include nothing of segctl but policy and recognise, which measure it.
"""
