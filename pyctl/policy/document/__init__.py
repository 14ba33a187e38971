"""The policy document: from a text to Policy, and to which workloads it speaks of.

types      Policy, Group, Rule, PortSpec     yaml_text  text → plain values, strictly
parse      plain values → Policy             field_checks  checks of single values, by path
table      fields said once, for reader and schema
schema     the document as JSON Schema       selectors  what selects workloads
networks   sets of addresses, less others    casts      those of what is sent to many
resolve    a workload's groups and mode      named_ports  the numbers that workloads declare
identity   what a rule means, as a number     conditions  what it asks besides applications
settings   what groups of workloads are given: threats, sensors

In: text. Out: Policy. May import model, errors.
"""
