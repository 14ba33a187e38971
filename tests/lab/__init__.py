"""The test bed: namespaces, wires, containers, crowds, traffic and agents, for whoever measures or
shows something.

tests/fixtures gives it to tests, scripts/bench measures in it, scripts/tour tells a story in it. So
nothing here knows pytest: what cannot be done is a LabError, and what a host has not got an
UnavailableError.

    pace, processes            how long is waited; commands and processes, and what they use
    netns, crowd               namespaces on a bridge: a few with names, or containers by the hundred
    traffic, pulse             programs that run in them and say what they saw
    agent, engine, pool        segctl's processes, and BPF programs that are loaded once for all tests
    containers, tiers          a private Docker or Podman; a shop of three tiers in one
    wiring, pairs, splice, dp  one datapath, a thousand pairs, one splice, the documents' demo, by hand
    snapshot, netcount, backlog  what a namespace has, and what the kernel has counted
    disks, tc_shim, tc_text, verdict_programs, flow_entry  full disks, tc over a kernel that is played, what
                               tc prints, tiny BPF programs, entries of the flow maps
    truth_rows                 the truth table of modes, row by row
"""
