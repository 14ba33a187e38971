"""The nouns of segctl as frozen values: Workload, Port, PortPair, PortPolicy, Instance, LogLevel.

workload  Workload, Port, PortPair     policy  PortPolicy and what the engine is given
flow      a flow's answers and ends    records  the words of events and of flows' verdicts
instance  names and paths of one instance       protocols  names and numbers of IP protocols
apps      names and numbers of applications     threats  what the engine looks for, and settings
worker    which of several engines one is          sensors  patterns in payload, and settings
truth     which verdict each mode makes of a rule's     text  harmless to a terminal     log_level

In and out: values. No I/O, no import but the standard library and pyctl.errors. May import errors; everybody may import it.
"""
