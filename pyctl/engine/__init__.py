"""The engine: its own process; C judges packets, Python is its control side.

    rings.open_rings      the packet sockets, opened in the enforcer's namespace by the agent
    launch.start_engine   the process, detached from whoever starts it
    client.EngineClient   what the agent says to it: rings, policies, sync, counters, sessions
    main.run              the process itself (`python -m pyctl.engine`)

In: frames of vth-neuv, policies. Out: frames that pass, flow-map entries, events.
Inside: `src/sg_core*` decide and do no I/O; `src/sg_loop.c` is the packet thread; `_binding` is
the only importer of the extension; `engine.Engine` owns the C engine; `server` answers requests
framed by `protocol`, whose records are packed by `records`.

May import: pyctl.abi, pyctl.model, pyctl.errors, lean, unbroken. No packet ever waits for Python.
"""
