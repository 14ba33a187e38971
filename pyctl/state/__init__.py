"""What the agent knows across its own death, and what it is asked, as values.

store      the registry's and the policy's files, each written whole
registry   the attached workloads: read without a lock, replaced whole
remembered  what outlives a reboot: containers attached by name, modes
ids        port ids and generations     names      who has which port and address
revisions  the log of applied policies  requests   what is asked of the agent, and its answers

In: model values. Out: model values, files of the instance. May import runtime, policy, model, errors.
"""
