"""The splice: our veth takes the place of a workload's interface, and gives it back.

attach, detach   one interface            recover      what a killed process left half done
enforcer         the mute namespace that the ports live in (gso, offload_switch: its offloads)
live_state       what stands there now    host_side    the host's end     uninspected  what is beside
survey           read before touching     restore      what is kept, and put back
kinds            what depends on the interface's kind: veth, macvlan
steps            the plan and its journal  names        interfaces by ports

In: model.ProcessRef, model.Port, model.Instance. Out: model.Port. May import platform, model, errors;
it never imports the datapath, which its callers set on the ports between two steps.
"""
