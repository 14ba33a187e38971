"""The nouns of segctl as frozen values: Workload, Port, PortPair, PortPolicy, Instance, LogLevel.

No I/O, no import but the standard library and pyctl.errors. Everybody may import it.
"""
