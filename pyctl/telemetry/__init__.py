"""What happened, for people and for the disk.

events       the newest events, in memory    report      the engine's and the kernel's words as events
repeats      what happens again is one record with a count
log_budget   lines that each workload may have     log_files  the files, bounded     logs  their level
history      flows and events on disk, aggregated, and as policy looks at them
open_flows   the flows that are open now, and what a policy makes of them
looked_up    the DNS names of those whom flows were opened to

In: records of engine and kernel. Out: events, flows, counts. May import state, engine, datapath, policy.
"""
