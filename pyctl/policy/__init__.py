"""Policy: from a text to what each port enforces. Pure: no I/O, no clock, no state.

document  Policy, Group, Rule, PortSpec: a policy as its author means it
parse     text (YAML or JSON) → Policy; every error at once, each with its path
text      text → plain values, strictly
fields    the checks of single values, by path
resolve   Policy + attached workloads → who is in which group, at which addresses; modes
compile   the same → PortPolicy of each port, which the engine is given
diff      two policies → sentences for --dry-run

May import: model, errors.
"""
