"""The agent: owns the desired state of one node and makes the kernel match it.

store, ids    what survives a restart: workloads, port ids, the policy's text
agent         attach, detach, mode, policy: ordering and failure policy live here
steering      compiled policies and port pairs out to the driver and the engine, in the safe order
supervisor    keeps an engine running and holds its packet rings
watch         processes that end, addresses that change, engines that die, events to fetch
events, logs  what happened, for people

In: requests as plain values (api.server, or any caller). Out: model types. May import every package
but api and cli.
"""
