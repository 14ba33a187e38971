"""Connections to names just looked up: ./scripts/bench-names.

In: how many names. Out: a table, or JSON: pairs that failed, and pairs a second with and without interception. Each
name has an address of its own, so that each connection rests on the lookup before it. Nothing here may import what is
inside a driver.
"""
