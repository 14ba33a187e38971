"""The engine: its own process; C judges packets, Python is its control side.

rings       the packet sockets, opened in the enforcer's namespace by the agent
launch      the process, detached from whoever starts it    supervisor  keeps one alive, for the agent
workers     several that share the packets, told and read as one
client      what the agent says to it: rings, policies, sync, counters, sessions
protocol    frames on its socket     records, node_records, sensor_records  what they carry
main        the process itself, start to end     process  its parts      dp  NeuVector's dp protocol
src         the C engine, by layers: its README.md says which
_binding    the only importer of the extension, which build_ffi makes

In: frames of vth-neuv, policies. Out: frames that pass, flow-map entries, events. May import: abi, model,
errors, block_imports, signal_shield; supervisor, workers: platform too. No packet ever waits for Python.
"""
