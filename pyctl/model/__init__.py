"""The nouns of segctl as frozen value types: Workload, Port, PortPair, PortPolicy, Instance.

No I/O, no import but the standard library and pyctl.errors. Everybody may import it.
"""
