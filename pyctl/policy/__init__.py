"""Policy: from a text to what each port enforces. Pure: no I/O, no clock, no state.

document  Policy, Group, Rule, PortSpec: a policy as its author means it
parse     text (YAML or JSON) → Policy; every error at once, each with its path
text      text → plain values, strictly
fields    the checks of single values, by path; selectors: of what selects workloads
networks  sets of addresses, less others; casts: those of what is sent to many
resolve   Policy + a workload → its groups, addresses, mode
named_ports  the numbers that workloads declare, as rules; effective: with all that they say
compile   Policy + attached workloads → rules by groups, who is in which: what the engine is given
concern   two of these → the ports whose verdicts the step from one to the other can touch
identity  what a rule means, as a number: its hits are counted under it
explain   the rule that decides, read one by one
observed  a recorded flow as policy looks at it
replay    explain, for many flows at once; judge: and by the modes of all their ends
sieve     which recorded flows are worth a rule
families  which workloads are copies of one thing
ports     services as a rule writes them
learn     recorded flows → rules; learned_text: as a document
schema    the document as JSON Schema
simulate  recorded flows under another policy
impact    open flows whose fate a policy changes
diff      two policies → sentences for --dry-run

May import: model, errors.
"""
