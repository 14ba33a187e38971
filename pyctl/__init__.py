"""segctl: micro-segmentation for running containers.

model       frozen value types            policy      parse, compile, evaluate, learn (pure)
platform    netlink, setns, bpf(2), /proc runtime     containers by name
intercept   the splice                    datapath    steering in the kernel
engine      verdicts (C behind cffi)      state       what must last
telemetry   what happened                 controller  desired state → kernel state
observe     what changes by itself        agent       the one object of a node
doctor      what this host can do         abi         Python's view of bpf/segctl_abi.h
api, cli    how one talks to the agent    daemon      the agent as a process
signal_shield  what no signal may break off          block_imports  where memory counts
free_space  whether a disk is full        abi_build   what abi reads, from the header
errors      what a user is told, and its exit code
"""
