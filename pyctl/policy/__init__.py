"""Policy: from a text to what each port enforces. Pure: no I/O, no clock, no state.

document    text → Policy, and to whom it speaks
compile     Policy + workloads → what the engine is given
evaluate    what a policy says of one packet, of recorded flows, of open ones
learn       recorded flows → a policy
kubernetes  NetworkPolicies → a policy

In: texts, workloads, flows. Out: what each port enforces, verdicts, texts.
May import: model, errors. Inside: document < compile < evaluate < learn; kubernetes beside compile.
"""
