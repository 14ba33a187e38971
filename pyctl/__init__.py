"""segctl: micro-segmentation for running containers.

model      frozen value types            policy     parse, resolve, compile (pure)
platform   netlink, setns, bpf(2), /proc runtime    containers by name
intercept  the splice                    datapath   steering in the kernel
engine     verdicts (C behind cffi)      agent      desired state → kernel state
api, cli   how one talks to the agent    abi        Python's view of bpf/segctl_abi.h
unbroken   what no signal may break off  lean       what is not imported where memory counts
"""
