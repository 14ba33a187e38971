"""NeuVector's dp control protocol, served by the engine: JSON datagrams in, binary replies out.

    fields      checked values out of a JSON object
    messages    a datagram → one typed request, or UsageError
    state       endpoints by MAC, their policies, the internal subnets
    translate   a dp policy → model.policy.PortPolicy, the engine's own form
    sessions    its listing of sessions
    replies     the binary structures
    dispatch    one request done on the engine; what is answered
    server      the socket /tmp/dp_listen.sock and its thread

In: datagrams. Out: rings, policies and listening ports of the Engine; replies. Only `server` and
the opening of rings in `dispatch` do I/O. So the two scripts that drive a dp by hand, and tools
written for it, drive this engine unchanged; where this engine knows less (applications, names) or
does otherwise, the module says so.

May import what the engine may: pyctl.abi, pyctl.model, pyctl.errors.
"""
