"""What interception costs: ./scripts/bench-paths, bench-scale, bench-policy and compare-datapaths.

    paths, attach, cache       the paths of a packet, an attach as an application feels it, the verdict cache
    datapaths, growth          ebpf and u32 beside each other, here or on another kernel; packets by pairs
    scale, policy              a full host; a policy's lookup and its changes

They share where it happens (worlds, over tests/lab), what is sent (traffic), the order in which paths are
measured (rounds), how runs become figures (figures), and how figures are shown (report, chart).
Nothing here may import what is inside a driver: tests/lab has what of it must be made by hand.
"""
