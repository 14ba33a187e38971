"""What groups of workloads are given besides rules: how it is read.

draft    a policy being read: its errors and groups     threats  what is done at each threat
sensors  patterns, and what is done where one matches

In: plain values. Out: values of model. May import what the package above does, and its modules.
"""
