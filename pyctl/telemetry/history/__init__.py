"""What happened on this node, kept on disk: flows and events, bounded, never in anybody's way.

values     a flow as it is told: one end's record, and the two ends of one flow as one
convert    engine events and sessions → flow records with the names of both ends
collect    takes the engine's events once, also across an agent that was killed
database   the SQLite file: schema, migrations, bounds; clock: by which records age
hits       how often each rule decided, as sums that outlive the flows
writer     the one thread that writes, in batches; what goes wrong stops it, and nothing else
aggregation  thousands of records, told as a few with counts, each workload's own
learning   recorded flows as policy looks at them
query      reading: filters, both ends joined, live flows merged in

In: events, records of engine and kernel. Out: flows, events, counts; the SQLite file.
Nothing here decides anything about traffic. Whoever records only appends to a list; a disk that is
full, slow or broken is met by the writer's thread alone, which says so and tries again. May import what
telemetry may.
"""
