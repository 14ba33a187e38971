"""The datapaths made by hand, without the code that segctl makes them with.

wiring    a spliced pod of plain `ip`        pairs   a thousand pairs, one of which carries frames
splice    a pod to be spliced                pool    BPF programs, loaded once for all tests
flow_entry, verdict_programs  an entry of the flow maps; programs of two instructions
workers   which engine a frame is for, computed once more
tc_shim   tc over a kernel that is played    tc_text what tc prints, read

In: namespaces of net, drivers. Out: ports that carry frames, bytes of maps, rules as tc has them.
"""
