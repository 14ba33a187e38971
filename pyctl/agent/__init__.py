"""The agent: owns the desired state of one node and makes the kernel match it.

agent           the one object that API and daemon hold: start, stop, mode, policy
turns           its one lock, given to whoever has waited longest
attach, detach  one workload, all of it or nothing; orders: what is asked, target: whom it means
release         interfaces given back, of one workload or of many side by side
newcomers       interfaces that an attached workload gets later
succession      who goes on in an ended one's place; recovery: what an earlier agent left
context         what all of these share; registry, store, ids: what survives a restart
steering        policies and port pairs out to the driver and the engine, in the safe order
drivers         one driver of each datapath, and ports handed over between them
supervisor      keeps an engine running and holds its packet rings
watch           processes that end, addresses that change, filters that strangers touch
engine_watch    engines that die, events to fetch
eyes, rounds    one thread's waiting, and what it does over and over; catch_up: what was refused
memory          what outlives a reboot: containers by name, modes; inventory: all containers
auto_attach     containers attached as they start; runtime_watch: told so; config: which
history         flows and events on disk: collected once, written by one thread, read back
aggregation     records by the thousand, told as a few with counts, each workload's own
log_budget      lines that each workload may have; log_files: the files, bounded
events, logs    what happened, for people; report: in their words, names: of whom

In: requests as plain values (api.server, or any caller). Out: model types. May import every package
but api and cli.
"""
