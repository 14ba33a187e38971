"""What interception costs: ./scripts/bench-paths, bench-scale, bench-policy, bench-names, bench-corpus,
bench-inspect and compare-datapaths.

    paths, attach, cache, flood  the paths of a packet, an attach as an application feels it, the verdict
                               cache, what one workload's connections cost another
    datapaths, datapaths_traffic, growth  ebpf and u32 beside each other, here or on another kernel: what
                               they carry, and what a packet costs by pairs
    scale, policy              a full host; a policy's lookup and its changes
    corpus                     what the recognisers of applications say of captures
    inspection                 HTTP through rules by address, application and request
    names                      connections to names just looked up
    worlds, traffic, rounds    where it happens, what is sent, and in which order worlds are measured
    figures, programs          from runs to tables and charts; what is sent and looked up, in C

In: options of a command line. Out: a table, JSON and a chart in bench-results/. Nothing here may import what
is inside a driver: tests/lab has what of it must be made by hand.
"""
