"""The test bed: namespaces, wires, containers, traffic and agents, for whoever measures or shows something.

tests/fixtures gives it to tests, scripts/bench measures in it, scripts/tour tells a story in it. So
nothing here knows pytest: what cannot be done is a LabError, and what a host has not got an
UnavailableError.

    net         namespaces, what runs in them, and what they have and count
    datapath    one datapath, a thousand pairs, one splice, by hand; tc and tiny BPF programs
    segctl      segctl's own processes, and the documents' demo
    containers  a private Docker or Podman, and a shop in one
    servers     real servers and clients of a host, and payload counted
    pace        how long is waited, and the errors       processes   commands, and what a process uses
    disks       places where nothing can be written      truth_rows  the truth table of modes, row by row

In: names, addresses, programs. Out: context managers that leave nothing behind, and what was seen.
"""
